// Fuzzes the two readers of fields: what the fast one reads, the thorough one reads alike; and what
// edits and minifying make of a document is a document.
#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>

#include "base/bytes.h"
#include "base/check.h"
#include "base/json_document.h"
#include "pipeline/json_fields.h"

namespace onceflow::pipeline {
namespace {

const std::vector<JsonPath>& paths() {
  static const std::vector<JsonPath> all = [] {
    std::vector<JsonPath> parsed;
    for (const char* text : {"$", "$.a", "$.b", "$.a.b", "$[0]", "$.a[#-1]", R"($."\u00e4")"}) {
      parsed.push_back(*parse_json_path(text));
    }
    return parsed;
  }();
  return all;
}

void read_both_ways(std::string_view text, const JsonDocument& document, bool is_json) {
  for (const JsonPath& path : paths()) {
    JsonFields fast({path});
    if (!fast.read(as_bytes(text))) {
      continue;
    }
    CHECK(is_json);
    std::string storage;
    const auto field = read_field(document, path, "a field", storage);
    CHECK(field.has_value() && field->value == fast[0]);
  }
}

void change(const JsonDocument& document) {
  JsonDocument changed;
  std::string minified;
  append_minified(minified, document.text());
  CHECK(!changed.parse(minified));
  for (const JsonPath& path : paths()) {
    for (const JsonEdit edit : {JsonEdit::kSet, JsonEdit::kInsert, JsonEdit::kReplace}) {
      if (const auto edited = edit_json(document, path, R"({"new":1})", edit)) {
        CHECK(!changed.parse(*edited));
        const auto place = changed.find(path);
        CHECK(!place || changed.raw(*place) == R"({"new":1})");
      }
    }
    CHECK(!changed.parse(remove_json(document, path)));
    CHECK(path.empty() || std::holds_alternative<JsonPosition>(path.back()) || !changed.find(path));
  }
}

}  // namespace
}  // namespace onceflow::pipeline

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace onceflow;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  JsonDocument document;
  const bool is_json = !document.parse(text);
  pipeline::read_both_ways(text, document, is_json);
  if (is_json) {
    pipeline::change(document);
  }
  return 0;
}
