#include "pipeline/yaml_text.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <optional>
#include <sstream>
#include <utility>

namespace onceflow::pipeline {
namespace {

constexpr std::string_view kOneDocument = "a pipeline file is one YAML document, all of it read";

int line_at(std::string_view text, std::size_t index) {
  return 1 + static_cast<int>(std::ranges::count(text.substr(0, index), '\n'));
}

// The length of the character of UTF-8 that begins here; 0 if none does.
std::size_t character_bytes(std::string_view text) {
  const auto byte = [&](std::size_t index) { return static_cast<unsigned char>(text[index]); };
  const auto follows = [&](std::size_t count) {
    for (std::size_t index = 1; index <= count; ++index) {
      if (index >= text.size() || (byte(index) & 0xc0U) != 0x80U) {
        return false;
      }
    }
    return true;
  };
  if (byte(0) < 0x80) {
    return 1;
  }
  if (byte(0) >= 0xc2 && byte(0) <= 0xdf && follows(1)) {
    return 2;
  }
  if (byte(0) >= 0xe0 && byte(0) <= 0xef && follows(2)) {
    const bool is_overlong = byte(0) == 0xe0 && byte(1) < 0xa0;
    const bool is_surrogate = byte(0) == 0xed && byte(1) >= 0xa0;
    return is_overlong || is_surrogate ? 0 : 3;
  }
  if (byte(0) >= 0xf0 && byte(0) <= 0xf4 && follows(3)) {
    const bool is_overlong = byte(0) == 0xf0 && byte(1) < 0x90;
    const bool is_beyond = byte(0) == 0xf4 && byte(1) >= 0x90;
    return is_overlong || is_beyond ? 0 : 4;
  }
  return 0;
}

// The first byte that is no text. yaml-cpp takes byte 4 for the end of its input and reads UTF-16.
std::optional<Problem> problem_of_bytes(std::string_view text) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  std::size_t index = text.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0;
  while (index < text.size()) {
    const auto byte = static_cast<unsigned char>(text[index]);
    const bool is_control =
        (byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r') || byte == 0x7f;
    const std::size_t bytes = character_bytes(text.substr(index));
    if (is_control || bytes == 0) {
      return Problem{line_at(text, index),
                     is_control ? fmt::format("the control character {:#04x}", byte)
                                : fmt::format("the byte {:#04x}, which is not UTF-8", byte),
                     "a pipeline file is text in UTF-8, without control characters",
                     is_control ? "remove it" : "save the file as UTF-8"};
    }
    index += bytes;
  }
  return std::nullopt;
}

// A directive stands at the begin of a line before the document; elsewhere a `%` is in a value,
// which is indented.
std::optional<Problem> problem_of_directives(std::string_view text) {
  for (std::size_t begin = 0; begin < text.size();) {
    if (text[begin] == '%') {
      return Problem{line_at(text, begin), "a directive of YAML, which begins with `%`",
                     std::string(kOneDocument), "remove the line"};
    }
    const std::size_t end = text.find('\n', begin);
    begin = end == std::string_view::npos ? text.size() : end + 1;
  }
  return std::nullopt;
}

// Sees every event, also those that leave no trace in the tree of nodes.
class Watcher final : public YAML::EventHandler {
 public:
  std::vector<Problem> take_problems() { return std::move(problems_); }

  void OnDocumentStart(const YAML::Mark&) override { ++document_count_; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (anchor != 0) {
      look_at(mark, "", anchor);
    }
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    report(mark, "an alias, which begins with `*`",
           "anchors and aliases are not read in a pipeline file",
           "write the value itself; text that begins with `*` stands in quotes");
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    look_at(mark, tag, anchor);
    if (value == "<<" && tag == "?") {
      report(mark, "a merge key `<<`", "maps are not merged in a pipeline file",
             "write the entries themselves");
    }
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    look_at(mark, tag, anchor);
  }
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    look_at(mark, tag, anchor);
  }
  void OnMapEnd() override {}

 private:
  void look_at(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    if (document_count_ > 1) {
      if (!std::exchange(has_reported_document_, true)) {
        report(mark, "a second document", std::string(kOneDocument),
               "give each pipeline a file of its own, or remove the `---` or `...` before this");
      }
      return;
    }
    if (anchor != 0) {
      report(mark, "an anchor, which begins with `&`",
             "anchors and aliases are not read in a pipeline file",
             "remove it; text that begins with `&` stands in quotes");
    }
    // "?" and "!" are what a value has that has none.
    if (!tag.empty() && tag != "?" && tag != "!") {
      report(mark, fmt::format("the tag `{}`", tag), "tags are not read in a pipeline file",
             "remove it; text that begins with `!` stands in quotes");
    }
  }

  void report(const YAML::Mark& mark, std::string what, std::string rule, std::string fix) {
    problems_.push_back(
        {mark.is_null() ? 1 : mark.line + 1, std::move(what), std::move(rule), std::move(fix)});
  }

  std::vector<Problem> problems_;
  int document_count_ = 0;
  bool has_reported_document_ = false;
};

}  // namespace

std::vector<Problem> problems_of_yaml_text(std::string_view text) {
  if (auto problem = problem_of_bytes(text)) {
    return {std::move(*problem)};
  }
  if (auto problem = problem_of_directives(text)) {
    return {std::move(*problem)};
  }
  Watcher watcher;
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(watcher)) {
    }
  } catch (const YAML::Exception&) {
    return {};
  }
  return watcher.take_problems();
}

std::string as_yaml_scalar(std::string_view expression) {
  const bool is_plain =
      !expression.empty() && expression.find_first_of(",[]{}") == std::string_view::npos &&
      !expression.contains(": ") && !expression.contains(" #") &&
      std::string_view("\"'&*!|>%@`-?#:").find(expression.front()) == std::string_view::npos;
  if (is_plain) {
    return std::string(expression);
  }
  std::string quoted = "\"";
  for (const char letter : expression) {
    if (letter == '"' || letter == '\\') {
      quoted += '\\';
    }
    quoted += letter;
  }
  return quoted + '"';
}

}  // namespace onceflow::pipeline
