#include "pipeline/result_columns.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "base/decimal.h"
#include "base/json_document.h"
#include "base/json_text.h"
#include "base/typed_text.h"
#include "pipeline/time_order.h"
#include "pipeline/yaml_text.h"

namespace onceflow::pipeline {
namespace {

using engine::AggregateFunction;

std::string another_type(const ResultColumn& column, const Value& argument) {
  const ColumnType type = std::holds_alternative<std::string_view>(argument) ? ColumnType::kText
                          : std::holds_alternative<std::int64_t>(argument)   ? ColumnType::kInteger
                          : std::holds_alternative<double>(argument)         ? ColumnType::kReal
                                                                             : ColumnType::kDecimal;
  return fmt::format("write `{}: {{ value: {}, type: {} }}` in {}", column.column.name,
                     column.is_default ? "…" : as_yaml_scalar(column.column.expression.text),
                     to_string(type), column.is_default ? "the aggregate" : "the sink's columns");
}

bool is_extreme(AggregateFunction function) {
  return function == AggregateFunction::kMin || function == AggregateFunction::kMax;
}

bool reads_member(const Expression& expression, std::string_view member) {
  return std::ranges::any_of(expression.fields, [&](const FieldUse& field) {
    const auto path = parse_json_path(field.path);
    const auto* first = path && !path->empty() ? std::get_if<std::string>(&path->front()) : nullptr;
    return first != nullptr && *first == member;
  });
}

// The column is a time, and the least or greatest of times is looked for among texts in several
// forms.
std::optional<Problem> problem_of_times(const SinkSpec& sink, const ResolvedColumn& column,
                                        const AggregateStepSpec& aggregate,
                                        std::span<const StepSpec> later) {
  for (const AggregateColumnSpec& each : aggregate.columns) {
    const std::string& name = each.column.name;
    if (!is_extreme(each.column.function) || !reads_member(column.expression, name) ||
        is_member_set(later, name) || computes_time(column.expression) ||
        has_one_form(*each.argument)) {
      continue;
    }
    if (const auto form = in_one_form(column.column.type, each.argument->text)) {
      const std::string_view function =
          each.column.function == AggregateFunction::kMin ? "min" : "max";
      return Problem{
          aggregate.line,
          fmt::format("column `{}` of sink {} is {}, and `{}` is the {} of texts by their bytes",
                      column.column.name, sink.id, to_string(column.column.type), name, function),
          "texts of times have the order of times only where all are in one form: 12:00:00.5Z is "
          "less than 12:00:00Z, and a zone counts for nothing",
          fmt::format("write `{}: {{ value: \"{}({})\", type: text }}`, which is in UTC, to the "
                      "millisecond, or give the column `type: text`",
                      name, function, *form)};
    }
  }
  return std::nullopt;
}

bool takes_numbers(ColumnType type) { return type < ColumnType::kBoolean || is_json(type); }

}  // namespace

std::expected<std::vector<ResultColumn>, Problem> match_results_to_columns(
    const SinkSpec& sink, const std::vector<ResolvedColumn>& columns,
    const AggregateStepSpec& aggregate, std::span<const StepSpec> later) {
  std::vector<ResultColumn> matched;
  for (const ResolvedColumn& column : columns) {
    if (auto problem = problem_of_times(sink, column, aggregate, later)) {
      return std::unexpected(std::move(*problem));
    }
    const auto name = member_of(column.expression);
    const auto found = std::ranges::find_if(
        aggregate.columns,
        [&](const AggregateColumnSpec& each) { return name == each.column.name; });
    if (found == aggregate.columns.end() || is_member_set(later, *name)) {
      continue;
    }
    const AggregateFunction function = found->column.function;
    if (!is_extreme(function) && !takes_numbers(column.column.type)) {
      return std::unexpected(
          Problem{sink.line,
                  fmt::format("column `{}` of sink {} is {}, and `{}` is a number",
                              column.column.name, sink.id, to_string(column.column.type), *name),
                  "count, sum and avg come to numbers",
                  "give the column `type: decimal`, or leave it out"});
    }
    if (function == AggregateFunction::kAvg && column.column.type == ColumnType::kInteger) {
      return std::unexpected(
          Problem{sink.line,
                  fmt::format("column `{}` of sink {} is integer, and `{}` is a mean",
                              column.column.name, sink.id, *name),
                  "a mean of integers is no integer",
                  fmt::format("give the column `type: real`, or the value `cast($.{} as integer)`",
                              *name)});
    }
    if (is_extreme(function) || function == AggregateFunction::kSum) {
      matched.push_back(
          {.aggregate = static_cast<std::size_t>(std::distance(aggregate.columns.begin(), found)),
           .column = projected(sink, column),
           .sink = sink.id,
           .is_default = sink.columns.empty(),
           .compares_bytes = is_extreme(function) && !found->column.is_decimal});
    }
  }
  return matched;
}

namespace {

// A text whose place by its bytes is not that of its value in the column.
Status check_order(const ResultColumn& column, const Value& argument) {
  const auto* text = std::get_if<std::string_view>(&argument);
  const ColumnType type = column.column.type.value_or(ColumnType::kText);
  const bool is_out_of_order =
      column.compares_bytes && text != nullptr &&
      (type == ColumnType::kDecimal ||
       (type == ColumnType::kUuid && typed_text(type, *text).value_or("") != *text));
  if (!is_out_of_order) {
    return {};
  }
  return fail(ErrorCode::kRefused,
              fmt::format("for sink {}: column {} is {} but got the text '{}', and min and max "
                          "compare texts by their bytes; {}",
                          column.sink, column.column.name, to_string(type), text->substr(0, 40),
                          type == ColumnType::kDecimal
                              ? "give the aggregate `type: decimal`"
                              : "write uuids in lower case with hyphens, as in lower(…)"));
}

}  // namespace

Status check_argument(const ResultColumn& column, const Value& argument, engine::Arena& arena) {
  const ColumnType type = column.column.type.value_or(ColumnType::kText);
  std::string json;
  Value value = argument;
  std::string digits;
  if (const auto* decimal = std::get_if<Decimal>(&argument)) {
    value = read_number(decimal->digits, digits).value_or(argument);  // as it is read again
  }
  if (is_json(type) && !is_null(argument)) {
    append_json_value(json, value);
    value = std::string_view(json);
  }
  const auto fitted = fit_column(column.column, value, arena);
  if (fitted) {
    return check_order(column, argument);
  }
  const bool takes_it_otherwise = type == ColumnType::kText || is_json(type);
  return fail(
      ErrorCode::kRefused,
      fmt::format("for sink {}: {}; {}", column.sink, fitted.error().what,
                  takes_it_otherwise ? fitted.error().fix : another_type(column, argument)));
}

}  // namespace onceflow::pipeline
