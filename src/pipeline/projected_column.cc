#include "pipeline/projected_column.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <string_view>
#include <utility>

#include "base/date_time.h"
#include "base/decimal.h"
#include "base/json_document.h"
#include "base/parse_number.h"
#include "base/typed_text.h"
#include "base/utf8.h"
#include "connectors/convert_value.h"
#include "pipeline/step_against.h"
#include "pipeline/yaml_text.h"

namespace onceflow::pipeline {
namespace {

// A text column takes numbers by their digits, a column of decimals every number and the text of
// one.
Value to_type(const ProjectedColumn& column, const Value& value, engine::Arena& arena) {
  if (column.type == ColumnType::kText && !is_null(value) &&
      !std::holds_alternative<std::string_view>(value)) {
    return render_text(value, arena);
  }
  if (column.type == ColumnType::kDecimal && !is_null(value) &&
      !std::holds_alternative<Decimal>(value)) {
    const auto* text = std::get_if<std::string_view>(&value);
    const auto number = text != nullptr ? DecimalNumber::parse(*text) : DecimalNumber::of(value);
    if (number) {
      return Decimal{as_text(arena.copy(as_bytes(number->to_string())))};
    }
  }
  return value;
}

// The text that a document is, as the expression alone yields it; else the value itself.
Value value_of_document(const Value& value, std::string& storage) {
  const auto* json = std::get_if<std::string_view>(&value);
  JsonDocument document;
  if (json == nullptr || document.parse(*json) ||
      document.node(JsonDocument::kRoot).kind != JsonDocument::Kind::kString) {
    return value;
  }
  const auto text = document.string(JsonDocument::kRoot, storage);
  return text ? Value(*text) : value;
}

// Rows are kept by their key: a file with another type or expression of its column is refused.
std::string fix_of_key(const ProjectedColumn& column, const Value& value) {
  std::string storage;
  const std::string out = step_against(
      column.expression.text, is_json(column.type) ? value_of_document(value, storage) : value);
  return column.expression.path ? fmt::format("{}, or give {} another value in such a step: `set`",
                                              out, *column.expression.path)
                                : out;
}

// As a part of another expression.
std::string operand(const ProjectedColumn& column) {
  const bool is_whole = column.expression.path || column.expression.part;
  return is_whole ? column.expression.text : fmt::format("({})", column.expression.text);
}

std::string write(const ProjectedColumn& column, std::string_view expression) {
  return column.is_argument ? fmt::format("take {}", expression)
                            : fmt::format("write {}", line_of(column, expression));
}

std::optional<RecordProblem> problem_of_text(const ProjectedColumn& column, std::string_view text) {
  const std::size_t zero =
      column.text_rule == TextRule::kUtf8WithoutZero ? text.find('\0') : std::string_view::npos;
  if (zero != std::string_view::npos) {
    const std::string& expression = column.expression.text;
    return RecordProblem{
        fmt::format("column {} would hold U+0000, at byte {}", column.name, zero),
        "PostgreSQL's text cannot hold it",
        fmt::format("take it out: {}; or {}",
                    write(column, fmt::format("replace({}, char(0), '')", expression)),
                    step_before(fmt::format("coalesce(instr({}, char(0)), 0) = 0", expression)))};
  }
  const std::size_t place =
      column.text_rule == TextRule::kAnyBytes ? std::string_view::npos : find_invalid_utf8(text);
  if (place != std::string_view::npos) {
    return RecordProblem{fmt::format("column {} would hold a byte that is not UTF-8, at byte {}",
                                     column.name, place),
                         "a column of text is UTF-8",
                         "mend the producer, or give the column `type: bytea`, which takes any "
                         "bytes, or take them in digits: " +
                             write(column, fmt::format("hex({})", column.expression.text))};
  }
  return std::nullopt;
}

// The pairs of texts that people write for true and false.
constexpr std::array<std::pair<std::string_view, std::string_view>, 9> kTruths = {{
    {"true", "false"},
    {"True", "False"},
    {"TRUE", "FALSE"},
    {"t", "f"},
    {"yes", "no"},
    {"Yes", "No"},
    {"y", "n"},
    {"on", "off"},
    {"1", "0"},
}};

// An expression that is the text's value where the text is exactly one of the type, and of any
// other text that text, which the column goes on refusing: a cast alone would make 1 of '1,5' and 0
// of 'true'. Empty: this text is no value of the type.
std::string exact_value_of(const std::string& expression, ColumnType type, std::string_view text) {
  if (type == ColumnType::kBoolean) {
    const auto pair = std::ranges::find_if(
        kTruths, [&](const auto& truth) { return truth.first == text || truth.second == text; });
    return pair == kTruths.end() ? ""
                                 : fmt::format(
                                       "case {0} when '{1}' then 1 when '{2}' then 0 else "
                                       "{0} end",
                                       expression, pair->first, pair->second);
  }
  double real = 0;
  const char* const past = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), past, real);
  const bool is_number = DecimalNumber::parse(text) && error == std::errc() && end == past;
  if (!is_number || (type == ColumnType::kInteger && !parse_number<std::int64_t>(text))) {
    return "";
  }
  return fmt::format("iif(cast({0} as {1}) = {0}, cast({0} as {1}), {0})", expression,
                     to_string(type));
}

// The type that takes the value as it is.
ColumnType type_of(const Value& value) {
  return std::holds_alternative<std::int64_t>(value)       ? ColumnType::kInteger
         : std::holds_alternative<double>(value)           ? ColumnType::kReal
         : std::holds_alternative<std::string_view>(value) ? ColumnType::kText
                                                           : ColumnType::kDecimal;
}

// For columns of numbers, booleans and bytes.
std::string fix_of_number(const ProjectedColumn& column, ColumnType type, const Value& value) {
  if (column.is_argument) {
    return step_against(column.expression.text, value);
  }
  const auto* text = std::get_if<std::string_view>(&value);
  const std::string exact =
      text == nullptr ? "" : exact_value_of(column.expression.text, type, *text);
  // Beyond what a double holds an integer is a decimal, too.
  const ColumnType other = type == ColumnType::kReal && type_of(value) == ColumnType::kInteger
                               ? ColumnType::kDecimal
                               : type_of(value);
  return fmt::format(
      "{}give the column `type: {}`, which keeps it as it is; or {}",
      exact.empty()
          ? ""
          : fmt::format("write `value: {}`, which leaves what is no {} to be refused; or ",
                        as_yaml_scalar(exact), to_string(type)),
      to_string(other), step_against(column.expression.text, value));
}

struct Advice {
  std::string_view rule;
  std::string fix;
};

constexpr std::string_view kTextKeepsAll = "`type: text` keeps all as it is";

// Since 1970, in what people count; SQLite's functions know the years 0001 to 9999 of them.
struct TimeUnit {
  std::string_view name;
  double seconds;
  std::string_view to_seconds;  ///< behind the number
  std::string_view to_millis;   ///< round() to whole milliseconds: its second argument
  std::int64_t micros = 0;      ///< 0: of days
};
constexpr std::array<TimeUnit, 3> kTimeUnits = {{{"days", 86'400, " * 86400", "", 0},
                                                 {"seconds", 1, "", ", 3", 1'000'000},
                                                 {"milliseconds", 0.001, " / 1000.0", "", 1'000}}};

// An expression that is the time where the number is a whole one of milliseconds or microseconds:
// a time that is rounded would be another one. Null: where it is neither, or no time.
std::string time_of_number(const std::string& of, const TimeUnit& unit, std::string_view zone,
                           bool is_of_millis) {
  if (is_of_millis) {
    return fmt::format(
        "iif({0} = round({0}{1}), strftime('%Y-%m-%dT%H:%M:%f{2}', {0}{3}, 'unixepoch'), null)", of,
        unit.to_millis, zone, unit.to_seconds);
  }
  const std::string micros = fmt::format("round({} * {})", of, unit.micros);
  const std::string whole_seconds = fmt::format("floor({} / 1000000)", micros);
  return fmt::format(
      "iif({0} = {1} / {2}, strftime('%Y-%m-%dT%H:%M:%S', {3}, 'unixepoch') || format('.%06d{4}', "
      "{1} - {3} * 1000000), null)",
      of, micros, unit.micros, whole_seconds, zone);
}

// What the number is in each unit that may be meant, so that one sees which it is. Texts, and what
// the functions make null, stay what they are, and the column goes on refusing them; so do 0 and 1,
// which JSON's false and true are here.
std::string fix_of_time_number(const ProjectedColumn& column, ColumnType type, double number) {
  constexpr double kSecondsMin = -62'135'596'800;  // 0001-01-01
  constexpr double kSecondsMax = 253'402'300'799;  // 9999-12-31T23:59:59
  const bool is_date = type == ColumnType::kDate;
  const std::string_view zone = type == ColumnType::kTimestamptz ? "Z" : "";
  const std::string of = operand(column);
  std::string fix;
  for (const TimeUnit& unit : kTimeUnits) {
    const double seconds = number * unit.seconds;
    const bool is_of_days = unit.micros == 0;
    if ((is_of_days && !is_date) || seconds < kSecondsMin || seconds > kSecondsMax || number == 0 ||
        number == 1) {
      continue;
    }
    std::string is;
    std::string call;
    if (is_date) {
      is = date_text(static_cast<std::int64_t>(std::floor(seconds / kTimeUnits[0].seconds)));
      call = fmt::format("date({}{}, 'unixepoch')", of, unit.to_seconds);
    } else {
      const std::int64_t micros = std::llround(number * static_cast<double>(unit.micros));
      if (static_cast<double>(micros) / static_cast<double>(unit.micros) != number) {
        continue;  // It has no such digits.
      }
      constexpr std::int64_t kMicrosOfMilli = 1'000;
      is = timestamp_text(micros) + std::string(zone);
      call = time_of_number(of, unit, zone, micros % kMicrosOfMilli == 0);
    }
    fix += fmt::format("in {} since 1970 it is {}: {}; ", unit.name, is,
                       write(column, fmt::format("iif(typeof({0}) = 'text' or {0} in (0, 1), {0}, "
                                                 "coalesce({1}, {0}))",
                                                 of, call)));
  }
  return fix;
}

// The same of texts that another type takes.
std::string fix_of_time_text(const ProjectedColumn& column, ColumnType type,
                             std::string_view text) {
  const bool has_no_zone = read_timestamp(text).has_value();
  const bool has_zone = read_timestamptz(text).has_value();
  std::string other = has_no_zone && type != ColumnType::kTimestamp
                          ? "`type: timestamp` takes a time without a zone; "
                      : has_zone && type != ColumnType::kTimestamptz
                          ? "`type: timestamptz` takes a zone; "
                          : "";
  const std::string of = operand(column);
  if (type == ColumnType::kTimestamptz && has_no_zone) {
    return fmt::format("if it is UTC {}; {}", write(column, fmt::format("{} || 'Z'", of)), other);
  }
  constexpr std::size_t kOffsetSize = 6;  // +01:00, as SQLite reads it
  const bool is_known =
      has_no_zone || text.ends_with('Z') ||
      (has_zone && text.size() > kOffsetSize && text[text.size() - 3] == ':' &&
       (text[text.size() - kOffsetSize] == '+' || text[text.size() - kOffsetSize] == '-'));
  if (type == ColumnType::kDate && (has_no_zone || has_zone) && is_known) {
    return fmt::format(
        "of a timestamp {}, which is its day{}; {}",
        write(column,
              fmt::format("iif({0} like '____-__-__%', coalesce(date({0}), {0}), {0})", of)),
        has_zone ? " in UTC" : "", other);
  }
  return other;
}

std::string fix_of_time(const ProjectedColumn& column, ColumnType type, const Value& value) {
  std::string fix;
  if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    fix = fix_of_time_number(column, type, static_cast<double>(*integer));
  } else if (const auto* real = std::get_if<double>(&value)) {
    fix = fix_of_time_number(column, type, *real);
  } else if (const auto* text = std::get_if<std::string_view>(&value)) {
    fix = fix_of_time_text(column, type, *text);
  }
  return fix.append(kTextKeepsAll);
}

Advice advice_of(const ProjectedColumn& column, ColumnType type, const Value& value) {
  switch (type) {
    case ColumnType::kTimestamptz:
      return {"a timestamptz is text like 2024-02-29T12:30:00.5+01:00, or with Z at its end",
              fix_of_time(column, type, value)};
    case ColumnType::kTimestamp:
      return {"a timestamp is text like 2024-02-29T12:30:00.5, without a zone",
              fix_of_time(column, type, value)};
    case ColumnType::kDate:
      return {"a date is text like 2024-02-29", fix_of_time(column, type, value)};
    case ColumnType::kUuid:
      return {"a uuid is text like 123e4567-e89b-12d3-a456-426614174000",
              std::string(kTextKeepsAll)};
    case ColumnType::kJson:
      return {
          "a column of json takes a field as it is in the record, and `value` and `key` that "
          "are JSON",
          "keep others out by a step before this one: `where: value is null or "
          "json_valid(value)`; `type: text` keeps all as it is"};
    case ColumnType::kJsonb:
      return {
          "a column of jsonb takes a field as it is in the record, and `value` and `key` that "
          "are JSON",
          "`type: json` keeps a document as it is written; keep what is not JSON out by a step "
          "before this one: `where: value is null or json_valid(value)`"};
    default:
      return {"a column takes values of its type, or null", fix_of_number(column, type, value)};
  }
}

bool is_json_null(std::string_view json) {
  constexpr std::string_view kSpaces = " \t\r\n";
  const std::size_t begin = json.find_first_not_of(kSpaces);
  return json.substr(begin, json.find_last_not_of(kSpaces) + 1 - begin) == "null";
}

// Of the types that are texts in one form.
std::expected<Value, RecordProblem> fit_typed_text(const ProjectedColumn& column, ColumnType type,
                                                   const Value& value, engine::Arena& arena) {
  const auto* text = std::get_if<std::string_view>(&value);
  auto typed = text != nullptr ? typed_text(type, *text)
                               : std::unexpected(std::string("it takes text alone"));
  if (!typed) {
    Advice advice = advice_of(column, type, value);
    return std::unexpected(
        RecordProblem{fmt::format("column {} is {} but got {}: {}", column.name, to_string(type),
                                  connectors::describe(value), typed.error()),
                      std::string(advice.rule), std::move(advice.fix)});
  }
  if (is_json(type) && is_json_null(*typed)) {
    return Value();
  }
  return as_text(arena.copy(as_bytes(*typed)));
}

std::expected<Value, RecordProblem> fit_value(const ProjectedColumn& column, const Value& value,
                                              engine::Arena& arena) {
  if (column.type >= ColumnType::kTimestamptz && !is_null(value)) {
    return fit_typed_text(column, *column.type, value, arena);
  }
  const Value typed = to_type(column, value, arena);
  const Result<Value> converted =
      column.type ? connectors::convert_value(column.name, *column.type, typed) : typed;
  if (!converted) {
    Advice advice = advice_of(column, *column.type, value);
    return std::unexpected(
        RecordProblem{converted.error().text, std::string(advice.rule), std::move(advice.fix)});
  }
  if (const auto* text = std::get_if<std::string_view>(&*converted)) {
    if (auto problem = problem_of_text(column, *text)) {
      return std::unexpected(std::move(*problem));
    }
    return as_text(arena.copy(as_bytes(*text)));
  }
  if (const auto* decimal = std::get_if<Decimal>(&*converted)) {
    return Decimal{as_text(arena.copy(as_bytes(decimal->digits)))};
  }
  return *converted;
}

}  // namespace

std::string line_of(const ProjectedColumn& column, std::string_view expression) {
  const ColumnType type = column.type.value_or(ColumnType::kText);
  const std::string value = as_yaml_scalar(expression);
  return type == ColumnType::kText
             ? fmt::format("`{}: {}`", column.name, value)
             : fmt::format("`{}: {{ value: {}, type: {} }}`", column.name, value, to_string(type));
}

std::expected<Value, RecordProblem> fit_column(const ProjectedColumn& column, const Value& value,
                                               engine::Arena& arena) {
  auto fitted = fit_value(column, value, arena);
  if (!fitted && column.is_key) [[unlikely]] {
    fitted.error().fix = fix_of_key(column, value);
  }
  return fitted;
}

}  // namespace onceflow::pipeline
