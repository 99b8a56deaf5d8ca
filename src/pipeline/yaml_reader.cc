#include "pipeline/yaml_reader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

#include "base/utf8.h"
#include "pipeline/foreign_words.h"
#include "pipeline/nearest.h"

namespace onceflow::pipeline {
namespace {

const char* kind_of(const YAML::Node& node) {
  switch (node.Type()) {
    case YAML::NodeType::Scalar:
      return "a single value";
    case YAML::NodeType::Sequence:
      return "a list";
    case YAML::NodeType::Map:
      return "a map";
    default:
      return "nothing";
  }
}

}  // namespace

void YamlReader::report(int line, std::string what, std::string rule, std::string fix) {
  problems_.push_back({line, std::move(what), std::move(rule), std::move(fix)});
}

bool YamlReader::check_map(const YAML::Node& node, const std::string& place,
                           const std::vector<std::string_view>& known) {
  if (!node.IsMap()) {
    report(node, fmt::format("{} is {}", place, kind_of(node)),
           known.empty()
               ? "a map of names to values is needed here"
               : fmt::format("a map is needed here, with the keys {}", fmt::join(known, ", ")),
           "write `name: value` lines, indented below it");
    return false;
  }
  std::vector<std::string> seen;
  for (const auto& entry : node) {
    if (!entry.first.IsScalar()) {
      report(entry.first, fmt::format("a key of {} is {}", place, kind_of(entry.first)),
             "keys are plain names", "write a name before the colon");
      return false;
    }
    const std::string& key = entry.first.Scalar();
    if (std::ranges::find(seen, key) != seen.end()) {
      report(entry.first, fmt::format("`{}` stands twice in {}", key, place),
             "a key stands once in a map", "remove one of them");
    }
    seen.push_back(key);
    if (known.empty()) {
      continue;
    }
    if (std::ranges::find(known, key) == known.end()) {
      report_unknown(entry.first, node, place, known);
    } else if (entry.second.IsNull()) {
      report(entry.first, fmt::format("`{}` in {} has no value", key, place),
             "what stands in the file is used; a key without a value is not",
             "write a value after the colon, or remove the line");
      answered_.emplace(line_of(node), key);
    }
  }
  return true;
}

void YamlReader::report_unknown(const YAML::Node& key, const YAML::Node& map,
                                const std::string& place,
                                const std::vector<std::string_view>& known) {
  std::string fix = "remove it";
  std::string_view meant;
  if (const ForeignWord* word = foreign_word(place, key.Scalar())) {
    fix = word->answer;
    meant = word->instead;
  } else if (meant = nearest(key.Scalar(), known); !meant.empty()) {
    fix = fmt::format("did you mean `{}`?", meant);
  }
  report(key, fmt::format("unknown key `{}` in {}", key.Scalar(), place),
         fmt::format("the keys here are {}", fmt::join(known, ", ")), std::move(fix));
  if (!meant.empty()) {
    answered_.emplace(line_of(map), meant);
  }
}

std::vector<std::pair<std::string, YAML::Node>> YamlReader::entries(const YAML::Node& map) {
  std::vector<std::pair<std::string, YAML::Node>> result;
  for (const auto& entry : map) {
    result.emplace_back(entry.first.Scalar(), entry.second);
  }
  return result;
}

std::optional<YAML::Node> YamlReader::find(const YAML::Node& map, std::string_view key) {
  for (const auto& entry : map) {
    if (entry.first.IsScalar() && entry.first.Scalar() == key && !entry.second.IsNull()) {
      return entry.second;
    }
  }
  return std::nullopt;
}

std::optional<YAML::Node> YamlReader::require(const YAML::Node& map, std::string_view key,
                                              const std::string& place, const std::string& fix) {
  std::optional<YAML::Node> node = find(map, key);
  if (!node && !answered_.contains({line_of(map), std::string(key)})) {
    report(map, fmt::format("{} has no `{}`", place, key), fmt::format("`{}` is needed here", key),
           fix);
  }
  return node;
}

std::optional<std::string> YamlReader::scalar(const YAML::Node& node, std::string_view name) {
  if (!node.IsScalar()) {
    report(node, fmt::format("`{}` is {}", name, kind_of(node)), "a single value is needed here",
           node.IsNull() ? std::string("write a value; SQL's null stands in quotes: \"null\"")
                         : fmt::format("write `{}: …` on one line", name));
    return std::nullopt;
  }
  return node.Scalar();
}

std::optional<std::string> YamlReader::setting(const YAML::Node& node, std::string_view name) {
  const std::optional<std::string> text = scalar(node, name);
  if (!text) {
    return std::nullopt;
  }
  std::string result;
  std::size_t begin = 0;
  for (std::size_t found; (found = text->find("${", begin)) != std::string::npos;) {
    const std::size_t end = text->find('}', found);
    const std::string_view reference =
        std::string_view(*text).substr(found, end == std::string::npos ? end : end - found + 1);
    if (end == std::string::npos || !reference.starts_with("${env:") || reference.size() < 8) {
      report(node, fmt::format("`{}` in `{}` is no reference", reference, name),
             "a reference is written ${env:NAME}", "name a variable of the environment");
      return std::nullopt;
    }
    const std::string variable(reference.substr(6, reference.size() - 7));
    const std::optional<std::string> value = variables_(variable);
    if (!value) {
      report(
          node,
          fmt::format("the environment has no variable {}, which `{}` refers to", variable, name),
          "${env:NAME} stands for the value of a variable that is set",
          fmt::format("set it before starting: export {}=…", variable));
      return std::nullopt;
    }
    if (!is_utf8(*value)) {
      report(node,
             fmt::format("the variable {}, which `{}` refers to, is not UTF-8", variable, name),
             "what stands in a pipeline file is text in UTF-8, and so is what is put into it",
             fmt::format("set {} to such a text", variable));
      return std::nullopt;
    }
    secrets_.add(*value, std::string(reference));
    result += text->substr(begin, found - begin);
    result += *value;
    begin = end + 1;
  }
  result += text->substr(begin);
  secrets_.add(result, *text);
  if (result.empty()) {
    report(node, fmt::format("`{}` is empty", name), "a value is needed here", "write one");
    return std::nullopt;
  }
  return result;
}

std::vector<Problem> YamlReader::take_problems() { return masked(std::move(problems_), secrets_); }

std::vector<std::string> YamlReader::settings(const YAML::Node& node, std::string_view name) {
  std::vector<std::string> result;
  const auto add = [&](const YAML::Node& item) {
    if (std::optional<std::string> text = setting(item, name)) {
      result.push_back(std::move(*text));
    }
  };
  if (node.IsSequence()) {
    for (const YAML::Node& item : node) {
      add(item);
    }
    if (node.size() == 0) {
      report(node, fmt::format("`{}` is an empty list", name), "at least one is needed",
             "name one");
    }
  } else {
    add(node);
  }
  return result;
}

std::optional<std::size_t> YamlReader::choice(const YAML::Node& node, std::string_view name,
                                              const std::vector<std::string_view>& words) {
  const std::optional<std::string> text = scalar(node, name);
  if (!text) {
    return std::nullopt;
  }
  const auto found = std::ranges::find(words, *text);
  if (found == words.end()) {
    const std::string_view foreign = foreign_value(name, *text);
    const bool is_known = std::ranges::find(words, foreign) != words.end();
    const std::string_view meant = is_known ? foreign : nearest(*text, words);
    report(
        node, fmt::format("`{}: {}`", name, *text),
        fmt::format("it is one of {}", fmt::join(words, ", ")),
        meant.empty() ? std::string("take one of them") : fmt::format("did you mean `{}`?", meant));
    return std::nullopt;
  }
  return static_cast<std::size_t>(found - words.begin());
}

std::optional<std::int64_t> YamlReader::integer(const YAML::Node& node, std::string_view name,
                                                std::int64_t min, std::int64_t max) {
  const std::optional<std::string> text = scalar(node, name);
  if (!text) {
    return std::nullopt;
  }
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (error != std::errc{} || end != text->data() + text->size() || number < min || number > max) {
    report(node, fmt::format("`{}: {}`", name, *text),
           fmt::format("it is a whole number from {} to {}", min, max),
           "write the digits alone, without a unit");
    return std::nullopt;
  }
  return number;
}

void YamlReader::report_expression(const YAML::Node& node, const std::string& name,
                                   const ExpressionError& error) {
  report(node, fmt::format("`{}`, column {} of the expression: {}", name, error.column, error.what),
         error.rule, error.fix);
}

std::optional<Expression> YamlReader::expression(const YAML::Node& node, const std::string& name,
                                                 Numbers numbers) {
  const std::optional<std::string> text = scalar(node, name);
  if (!text) {
    return std::nullopt;
  }
  std::expected<Expression, ExpressionError> checked = check_expression(*text, numbers);
  if (!checked) {
    report_expression(node, name, checked.error());
    return std::nullopt;
  }
  if (const auto problem = members_ ? members_->check(*checked) : std::nullopt) {
    report_expression(node, name, *problem);
  }
  return std::move(*checked);
}

}  // namespace onceflow::pipeline
