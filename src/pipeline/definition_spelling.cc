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
#include "pipeline/deletions.h"
#include "pipeline/expression_text.h"
#include "protocol/definition_lines.h"

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
        tokens.push_back(protocol::literal_in_line(token.text));
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

using Lines = std::vector<std::string>;

constexpr std::string_view kIs = " = ";
constexpr std::string_view kWhere = "where ";

// What a line `where CONDITION` says of records without a value; empty: nothing.
std::string_view end_of_condition(std::string_view line) {
  for (const std::string_view end : {protocol::kPassesDeletions, protocol::kJudgesDeletions}) {
    if (line.ends_with(end)) {
      return line.substr(line.size() - end.size());
    }
  }
  return "";
}

// nullopt: it is not an expression.
std::optional<std::string> canonical_expression(std::string_view text) {
  const std::string plain = protocol::with_plain_literals(text);
  return translate_expression(plain) ? std::optional(canonical_text(plain)) : std::nullopt;
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
  const std::size_t sign = protocol::begin_of_expression(line);
  const std::size_t begin = sign == std::string_view::npos ? sign : line.find('(', sign);
  const std::size_t end = line.rfind(')');
  return begin == std::string_view::npos || end == std::string_view::npos || end < begin
             ? std::nullopt
             : canonical_after(line, begin + 1, line.size() - end);
}

// A line of a definition as this version writes it; nullopt: it is not understood.
std::optional<std::string> canonical_line(std::string_view line) {
  if (line.starts_with(kWhere)) {
    return canonical_after(line, kWhere.size(), end_of_condition(line).size());
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
  const std::size_t begin = protocol::begin_of_expression(line);
  return begin != std::string_view::npos ? canonical_after(line, begin) : std::nullopt;
}

// In earlier versions a text literal went over several lines, and what is in it is not to be
// touched: one line that is not understood, and all stay.
Lines canonical_lines(const Lines& lines) {
  Lines canonical;
  for (const std::string& line : lines) {
    auto understood = canonical_line(protocol::without_border(line));
    if (!understood) {
      return lines;
    }
    canonical.push_back(std::string(protocol::border_of(line)) + *understood);
  }
  return canonical;
}

// The index of the line in `lines` that is this one but for borders.
std::optional<std::size_t> find_line(const Lines& lines, std::string_view line) {
  const auto place =
      std::ranges::find(lines, protocol::without_border(line),
                        [](const std::string& other) { return protocol::without_border(other); });
  return place == lines.end() ? std::nullopt
                              : std::optional(static_cast<std::size_t>(place - lines.begin()));
}

// Each line of `text` that means one of `recorded` as it is written there.
std::string spelled_as(const std::string& text, const std::string& recorded) {
  const Lines lines = protocol::definition_lines(text);
  const Lines recorded_lines = protocol::definition_lines(recorded);
  const Lines canonical = canonical_lines(lines);
  const Lines canonical_recorded = canonical_lines(recorded_lines);
  if (canonical == canonical_recorded ||
      canonical_lines(protocol::definition_lines(protocol::in_form_of(recorded, text))) ==
          canonical_recorded) {
    return recorded;
  }
  std::string spelled;
  for (std::size_t index = 0; index < lines.size(); ++index) {
    const std::string& line = lines[index];
    const auto same = find_line(canonical_recorded, canonical[index]);
    spelled += same && !find_line(recorded_lines, line)
                   ? std::string(protocol::border_of(line))
                         .append(protocol::without_border(recorded_lines[*same]))
                   : line;
    spelled += '\n';
  }
  return spelled;
}

bool reads_value(std::string_view line, std::size_t begin) {
  const std::string expression = protocol::with_plain_literals(line.substr(begin));
  return !translate_expression(expression) || pipeline::reads_value(expression);
}

// Each record reaches a table with `mode upsert` under its own key, so that conditions on its value
// pass one without: has_tables_with_deletions() of the recorded file.
bool has_tables_with_deletions(const protocol::PipelineDefinition& recorded) {
  const auto keys_by_value = [](const std::string& text, std::string_view kind) {
    return std::ranges::any_of(protocol::definition_lines(text), [&](const std::string& line) {
      const std::size_t begin = protocol::begin_of_expression(line);
      return protocol::without_border(line).starts_with(kind) &&
             (begin == std::string::npos || reads_value(line, begin));
    });
  };
  return std::ranges::none_of(recorded.stages,
                              [&](const Stage& stage) {
                                return !stage.state.empty() || keys_by_value(stage.steps, "key ");
                              }) &&
         std::ranges::any_of(recorded.stages, [&](const Stage& stage) {
           return stage.columns.starts_with("mode upsert\n") &&
                  !keys_by_value(stage.columns, "key column ");
         });
}

// What a `where` says of records without a value. Earlier versions did not write it: of their
// lines, `is_passing` tells it, which is that of the recorded pipeline.
class Deletions {
 public:
  Deletions(const std::string& recorded, bool is_passing)
      : recorded_(protocol::definition_lines(recorded)),
        canonical_(canonical_lines(recorded_)),
        is_passing_(is_passing) {}

  // `text` as recorded where that means the same; where the recorded line says nothing, and the
  // new one would, it is said.
  std::string said_as_recorded(const std::string& text) const {
    std::string said;
    for (const std::string& line : protocol::definition_lines(text)) {
      said += line.starts_with(kWhere) ? said_of(line) : line;
      said += '\n';
    }
    return said;
  }

 private:
  std::string said_of(const std::string& line) const {
    const std::string_view condition = without_end(line);
    const auto same = std::ranges::find_if(
        canonical_, [&](const std::string& other) { return without_end(other) == condition; });
    if (same == canonical_.end()) {
      return line;
    }
    const std::string_view before = end_of_condition(*same);
    const bool passes = end_of_condition(line) == protocol::kPassesDeletions;
    if (passes == passed(*same)) {
      return std::string(condition).append(before);
    }
    return passes ? line : std::string(condition).append(protocol::kJudgesDeletions);
  }

  bool passed(std::string_view line) const {
    const std::string_view end = end_of_condition(line);
    const std::string condition =
        protocol::with_plain_literals(without_end(line).substr(kWhere.size()));
    return end.empty()
               ? is_passing_ && translate_expression(condition) && passes_deletions(condition)
               : end == protocol::kPassesDeletions;
  }

  static std::string_view without_end(std::string_view line) {
    return line.substr(0, line.size() - end_of_condition(line).size());
  }

  Lines recorded_;
  Lines canonical_;
  bool is_passing_;
};

// Without `.` and doubled slashes; `..` may go back by another way than a link came.
std::string one_path(std::string_view path) {
  std::string one(path.starts_with('/') ? "/" : "");
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view part = path.substr(begin, end - begin);
    if (!part.empty() && part != ".") {
      one.append(one.empty() || one.ends_with('/') ? "" : "/").append(part);
    }
    begin = end + 1;
  }
  return one;
}

bool is_one_database(std::string_view one, std::string_view other) {
  constexpr std::string_view kSqlite = "sqlite ";
  return one.starts_with(kSqlite) && other.starts_with(kSqlite) &&
         one_path(one.substr(kSqlite.size())) == one_path(other.substr(kSqlite.size()));
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
  const bool has_deletions = has_tables_with_deletions(recorded);
  for (Stage& stage : planned.stages) {
    const Stage* same = recorded.find(stage.id);
    same = same != nullptr ? same : known.find(stage.id);
    if (same != nullptr && is_one_database(stage.database, same->database)) {
      stage.database = same->database;
    }
    const Stage& before = same != nullptr ? *same : all;
    stage.steps = spelled_as(Deletions(before.steps, has_deletions).said_as_recorded(stage.steps),
                             before.steps);
    stage.state = spelled_as(stage.state, before.state);
    stage.columns = spelled_as(stage.columns, before.columns);
  }
  return planned;
}

}  // namespace onceflow::pipeline
