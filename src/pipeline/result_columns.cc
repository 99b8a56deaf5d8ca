#include "pipeline/result_columns.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>

#include "base/decimal.h"
#include "base/json_text.h"

namespace onceflow::pipeline {
namespace {

using engine::AggregateFunction;

std::string another_type(const ResultColumn& column, const Value& argument) {
  const ColumnType type = std::holds_alternative<std::string_view>(argument) ? ColumnType::kText
                          : std::holds_alternative<std::int64_t>(argument)   ? ColumnType::kInteger
                          : std::holds_alternative<double>(argument)         ? ColumnType::kReal
                                                                             : ColumnType::kDecimal;
  return fmt::format("write `{}: {{ value: {}, type: {} }}` in {}", column.column.name,
                     column.is_default ? "…" : column.column.expression.text, to_string(type),
                     column.is_default ? "the aggregate" : "the sink's columns");
}

bool takes_numbers(ColumnType type) { return type < ColumnType::kBoolean || is_json(type); }

}  // namespace

std::expected<std::vector<ResultColumn>, Problem> match_results_to_columns(
    const SinkSpec& sink, const std::vector<ResolvedColumn>& columns,
    const AggregateStepSpec& aggregate, std::span<const StepSpec> later) {
  std::vector<ResultColumn> matched;
  for (const ResolvedColumn& column : columns) {
    const auto name = member_of(column.expression);
    const auto found = std::ranges::find_if(
        aggregate.columns,
        [&](const AggregateColumnSpec& each) { return name == each.column.name; });
    if (found == aggregate.columns.end() || is_member_set(later, *name)) {
      continue;
    }
    const AggregateFunction function = found->column.function;
    const bool is_extreme =
        function == AggregateFunction::kMin || function == AggregateFunction::kMax;
    if (!is_extreme && !takes_numbers(column.column.type)) {
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
    if (is_extreme || function == AggregateFunction::kSum) {
      matched.push_back(
          {.aggregate = static_cast<std::size_t>(std::distance(aggregate.columns.begin(), found)),
           .column = projected(sink, column),
           .sink = sink.id,
           .is_default = sink.columns.empty()});
    }
  }
  return matched;
}

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
    return {};
  }
  const bool takes_it_otherwise = type == ColumnType::kText || is_json(type);
  return fail(
      ErrorCode::kRefused,
      fmt::format("for sink {}: {}; {}", column.sink, fitted.error().what,
                  takes_it_otherwise ? fitted.error().fix : another_type(column, argument)));
}

}  // namespace onceflow::pipeline
