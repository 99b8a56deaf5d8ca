#include "pipeline/json_fields.h"

#include <simdjson.h>

#include <charconv>
#include <cstring>
#include <string_view>
#include <variant>

namespace onceflow::pipeline {
namespace {

// A position in a list counts from its beginning, or from its end as in [#-1].
struct ListPosition {
  std::size_t index = 0;
  bool from_end = false;
};
using PathStep = std::variant<std::string, ListPosition>;

std::vector<PathStep> parse_path(std::string_view path) {
  std::vector<PathStep> steps;
  path.remove_prefix(1);
  while (!path.empty()) {
    if (path.front() == '[') {
      const std::size_t end = path.find(']');
      std::string_view digits = path.substr(1, end - 1);
      ListPosition position;
      if (digits.starts_with("#-")) {
        position.from_end = true;
        digits.remove_prefix(2);
      }
      std::from_chars(digits.data(), digits.data() + digits.size(), position.index);
      steps.emplace_back(position);
      path.remove_prefix(end + 1);
    } else if (path[1] == '"') {
      const std::size_t end = path.find('"', 2);
      steps.emplace_back(std::string(path.substr(2, end - 2)));
      path.remove_prefix(end + 1);
    } else {
      const std::size_t end = std::min(path.find_first_of(".[", 1), path.size());
      steps.emplace_back(std::string(path.substr(1, end - 1)));
      path.remove_prefix(end);
    }
  }
  return steps;
}

using simdjson::dom::element;

// The element at the path; false if there is none.
bool find(element from, const std::vector<PathStep>& steps, element& found) {
  for (const PathStep& step : steps) {
    if (const auto* name = std::get_if<std::string>(&step)) {
      simdjson::dom::object object;
      if (from.get_object().get(object) != simdjson::SUCCESS ||
          object.at_key(*name).get(from) != simdjson::SUCCESS) {
        return false;
      }
      continue;
    }
    const ListPosition& position = std::get<ListPosition>(step);
    simdjson::dom::array array;
    if (from.get_array().get(array) != simdjson::SUCCESS) {
      return false;
    }
    std::size_t index = position.index;
    if (position.from_end) {
      const std::size_t count = array.size();
      if (index == 0 || index > count) {
        return false;
      }
      index = count - index;
    }
    if (array.at(index).get(from) != simdjson::SUCCESS) {
      return false;
    }
  }
  found = from;
  return true;
}

}  // namespace

struct JsonFields::Reader {
  std::vector<std::vector<PathStep>> paths;
  simdjson::dom::parser parser;
  Buffer padded;

  // False if the value is none that both read alike.
  static bool convert(const element& from, Value& to) {
    switch (from.type()) {
      case simdjson::dom::element_type::STRING:
        to = from.get_string().value_unsafe();
        return true;
      case simdjson::dom::element_type::INT64:
        to = from.get_int64().value_unsafe();
        return true;
      case simdjson::dom::element_type::DOUBLE:
        to = from.get_double().value_unsafe();
        return true;
      case simdjson::dom::element_type::BOOL:
        to = std::int64_t{from.get_bool().value_unsafe() ? 1 : 0};
        return true;
      case simdjson::dom::element_type::NULL_VALUE:
        to = std::monostate{};
        return true;
      default:
        return false;
    }
  }
};

JsonFields::JsonFields(const std::vector<std::string>& paths)
    : reader_(std::make_unique<Reader>()), values_(paths.size()) {
  for (const std::string& path : paths) {
    reader_->paths.push_back(parse_path(path));
  }
}

JsonFields::~JsonFields() = default;

bool JsonFields::read(ByteView document) {
  // SQLite compares names as they are written, escapes and all, and ends text at \u0000; so where
  // there is an escape, SQLite reads.
  if (document.empty() || std::memchr(document.data(), '\\', document.size()) != nullptr) {
    return false;
  }
  Buffer& padded = reader_->padded;
  if (padded.size() < document.size() + simdjson::SIMDJSON_PADDING) {
    padded.resize(2 * (document.size() + simdjson::SIMDJSON_PADDING));
  }
  std::memcpy(padded.data(), document.data(), document.size());
  element root;
  if (reader_->parser.parse(reinterpret_cast<const char*>(padded.data()), document.size(), false)
          .get(root) != simdjson::SUCCESS) {
    return false;
  }
  for (std::size_t index = 0; index < values_.size(); ++index) {
    element found;
    if (!find(root, reader_->paths[index], found)) {
      values_[index] = std::monostate{};
    } else if (!Reader::convert(found, values_[index])) {
      return false;
    }
  }
  return true;
}

}  // namespace onceflow::pipeline
