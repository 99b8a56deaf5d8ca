#include "pipeline/definition_spelling.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "base/decimal.h"
#include "base/json_document.h"
#include "base/json_text.h"
#include "pipeline/expression_text.h"

namespace onceflow::pipeline {
namespace {

using Stage = protocol::PipelineDefinition::Stage;

// Words after which a bracket groups, where elsewhere it calls.
constexpr std::array<std::string_view, 11> kGrouping = {
    "and", "between", "case", "else", "in", "is", "like", "not", "or", "then", "when"};

bool is_word(std::string_view token) {
  const char first = token.front();
  return (first >= 'a' && first <= 'z') || (first >= 'A' && first <= 'Z') || first == '_';
}

// An integer and a real of one value stay two numbers.
std::string canonical_number(std::string_view number) {
  std::string digits;
  const auto value = read_number(number, digits);
  if (!value || std::holds_alternative<Decimal>(*value)) {
    return std::string(number);
  }
  std::string text;
  append_json_value(text, *value);
  return text;
}

// What SQL reads as the same sign.
std::string canonical_sign(std::string_view sign) {
  return sign == "==" ? "=" : sign == "!=" ? "<>" : std::string(sign);
}

// The tokens, each in the one way that it is written here, without the blanks between them.
std::vector<std::string> tokens_of(std::string_view expression) {
  std::vector<std::string> tokens;
  const auto translated = translate_expression(expression);
  if (!translated) {
    return {std::string(expression)};
  }
  for (const Token& token : translated->tokens) {
    switch (token.kind) {
      case TokenKind::kText:
        tokens.emplace_back(token.text);
        break;
      case TokenKind::kNumber:
        tokens.push_back(canonical_number(token.text));
        break;
      case TokenKind::kPath:
        tokens.push_back(canonical_path(token.text));
        break;
      case TokenKind::kWord:
        tokens.push_back(lower(token.text));
        break;
      case TokenKind::kSign:
        tokens.push_back(canonical_sign(token.text));
        break;
    }
  }
  return tokens;
}

}  // namespace

std::string canonical_path(std::string_view path) {
  const auto steps = parse_json_path(path);
  if (!steps) {
    return std::string(path);
  }
  std::string text = "$";
  for (const JsonStep& step : *steps) {
    if (const auto* name = std::get_if<std::string>(&step)) {
      text += path_of_name(*name).substr(1);
      continue;
    }
    const auto& position = std::get<JsonPosition>(step);
    text += position.is_from_end ? fmt::format("[#-{}]", position.index)
                                 : fmt::format("[{}]", position.index);
  }
  return text;
}

std::string canonical_text(std::string_view expression) {
  std::string text;
  std::string_view before;
  const std::vector<std::string> tokens = tokens_of(expression);
  for (const std::string& token : tokens) {
    const bool calls = token == "(" && !before.empty() && is_word(before) &&
                       std::ranges::find(kGrouping, before) == kGrouping.end();
    if (!text.empty() && before != "(" && token != ")" && token != "," && !calls) {
      text += ' ';
    }
    text += token;
    before = token;
  }
  return text;
}

namespace {

constexpr std::string_view kIs = " = ";

// nullopt: it is not an expression.
std::optional<std::string> canonical_expression(std::string_view text) {
  return translate_expression(text) ? std::optional(canonical_text(text)) : std::nullopt;
}

// `begin`, the expression up to `end` bytes before the line's end, and those.
std::optional<std::string> canonical_after(std::string_view line, std::size_t begin,
                                           std::size_t end = 0) {
  const std::string_view tail = line.substr(line.size() - end);
  const auto expression = canonical_expression(line.substr(begin, line.size() - end - begin));
  return expression ? std::optional(fmt::format("{}{}{}", line.substr(0, begin), *expression, tail))
                    : std::nullopt;
}

// "set PATH = EXPRESSION": a name in quotes may hold the sign too.
std::optional<std::string> canonical_set(std::string_view line) {
  const std::size_t begin = std::string_view("set ").size();
  for (std::size_t place = line.find(kIs); place != std::string_view::npos;
       place = line.find(kIs, place + 1)) {
    const std::string_view path = line.substr(begin, place - begin);
    if (check_json_path(path)) {
      const auto expression = canonical_expression(line.substr(place + kIs.size()));
      return expression
                 ? std::optional(fmt::format("set {}{}{}", canonical_path(path), kIs, *expression))
                 : std::nullopt;
    }
  }
  return std::nullopt;
}

// "aggregate NAME = FUNCTION(EXPRESSION)", and whether it is computed by digits.
std::optional<std::string> canonical_aggregate(std::string_view line) {
  const std::size_t sign = line.find(kIs);
  const std::size_t begin = sign == std::string_view::npos ? sign : line.find('(', sign);
  const std::size_t end = line.rfind(')');
  return begin == std::string_view::npos || end == std::string_view::npos || end < begin
             ? std::nullopt
             : canonical_after(line, begin + 1, line.size() - end);
}

// A line of a definition as this version writes it; nullopt: it is not understood.
std::optional<std::string> canonical_line(std::string_view line) {
  constexpr std::string_view kWhere = "where ";
  if (line.starts_with(kWhere)) {
    return canonical_after(line, kWhere.size());
  }
  if (line.starts_with("set ")) {
    return canonical_set(line);
  }
  if (line.starts_with("aggregate ")) {
    return canonical_aggregate(line);
  }
  if (line.starts_with("values ") || line.starts_with("mode ")) {
    return std::string(line);
  }
  const bool is_named = line.starts_with("key ") || line.starts_with("column ");
  const std::size_t place = line.find(kIs);
  return is_named && place != std::string_view::npos ? canonical_after(line, place + kIs.size())
                                                     : std::nullopt;
}

// A text literal may go over several lines, and what is in it is not to be touched: one line that
// is not understood, and all stay.
std::vector<std::string> canonical_lines(const std::vector<std::string>& lines) {
  std::vector<std::string> canonical;
  for (const std::string& line : lines) {
    auto understood = canonical_line(line);
    if (!understood) {
      return lines;
    }
    canonical.push_back(*std::move(understood));
  }
  return canonical;
}

// Each line of `text` that means one of `recorded` as it is written there.
std::string spelled_as(const std::string& text, const std::string& recorded) {
  const std::vector<std::string> lines = protocol::definition_lines(text);
  const std::vector<std::string> recorded_lines = protocol::definition_lines(recorded);
  const std::vector<std::string> canonical = canonical_lines(lines);
  const std::vector<std::string> canonical_recorded = canonical_lines(recorded_lines);
  if (canonical == canonical_recorded) {
    return recorded;
  }
  std::string spelled;
  for (std::size_t index = 0; index < lines.size(); ++index) {
    const auto same = std::ranges::find(canonical_recorded, canonical[index]);
    const bool is_recorded =
        same != canonical_recorded.end() &&
        std::ranges::find(recorded_lines, lines[index]) == recorded_lines.end();
    spelled += is_recorded
                   ? recorded_lines[static_cast<std::size_t>(same - canonical_recorded.begin())]
                   : lines[index];
    spelled += '\n';
  }
  return spelled;
}

}  // namespace

protocol::PipelineDefinition spelled_as(protocol::PipelineDefinition planned,
                                        const engine::KnownDefinition& known) {
  const protocol::PipelineDefinition& recorded =
      known.is_being_reset() ? known.begun() : known.current();
  Stage all;
  for (const Stage& stage : recorded.stages) {
    all.steps += stage.steps;
    all.state += stage.state;
    all.columns += stage.columns;
  }
  for (Stage& stage : planned.stages) {
    const Stage* same = recorded.find(stage.id);
    same = same != nullptr ? same : known.find(stage.id);
    const Stage& before = same != nullptr ? *same : all;
    stage.steps = spelled_as(stage.steps, before.steps);
    stage.state = spelled_as(stage.state, before.state);
    stage.columns = spelled_as(stage.columns, before.columns);
  }
  return planned;
}

}  // namespace onceflow::pipeline
