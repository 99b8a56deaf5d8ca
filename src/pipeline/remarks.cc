#include "pipeline/remarks.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "pipeline/deletions.h"
#include "pipeline/sink_columns.h"
#include "pipeline/yaml_text.h"

namespace onceflow::pipeline {
namespace {

using engine::AggregateFunction;

std::optional<Problem> remark_on_sum(const SinkSpec& sink, const AggregateStepSpec& aggregate,
                                     const AggregateColumnSpec& sum) {
  if (sum.column.function != AggregateFunction::kSum || sum.type != ColumnType::kReal) {
    return std::nullopt;
  }
  const std::string& name = sum.column.name;
  return Problem{
      aggregate.line,
      fmt::format("column `{}` of sink {} is real, and `{}` is a sum", name, sink.id, name),
      "a real takes integers to 2^53 (9007199254740992); a sum of integers that leaves it stops "
      "the pipeline in front of the table",
      fmt::format("where it may come so far, write `{}: {{ value: {}, type: integer }}` before the "
                  "first run, or `type: decimal`, which takes reals among the integers, too",
                  name, as_yaml_scalar(fmt::format("sum({})", sum.argument->text)))};
}

std::optional<Problem> remark_on_text(const SinkSpec& sink, const SinkColumnSpec& column,
                                      const AggregateColumnSpec& result) {
  const AggregateFunction function = result.column.function;
  if (function == AggregateFunction::kMin || function == AggregateFunction::kMax ||
      column.type != ColumnType::kText) {
    return std::nullopt;
  }
  return Problem{
      sink.line,
      fmt::format("column `{}` of sink {} is text, and `{}` is a number", column.name, sink.id,
                  result.column.name),
      "a column is text where the file gives it no type",
      fmt::format("where the table is to hold numbers, write `{}: {{ value: {}, type: {} "
                  "}}` before the first run",
                  column.name, as_yaml_scalar(column.expression.text),
                  function == AggregateFunction::kCount ? "integer" : "decimal")};
}

void add_remarks(std::vector<Problem>& remarks, const SinkSpec& sink,
                 const AggregateStepSpec& aggregate, std::span<const StepSpec> later) {
  for (const AggregateColumnSpec& result : aggregate.columns) {
    const std::string& name = result.column.name;
    if (is_member_set(later, name)) {
      continue;
    }
    auto remark = sink.columns.empty() ? remark_on_sum(sink, aggregate, result) : std::nullopt;
    for (const SinkColumnSpec& column : sink.columns) {
      if (!remark && member_of(column.expression) == name) {
        remark = remark_on_text(sink, column, result);
      }
    }
    if (remark) {
      remarks.push_back(std::move(*remark));
    }
  }
}

std::string condition_with(std::string_view before, const Expression& condition) {
  return fmt::format("`where: {}`", as_yaml_scalar(fmt::format("{} ({})", before, condition.text)));
}

Problem remark_on_passing(const StepSpec& step, const std::string& tables) {
  return {step.line,
          fmt::format("step {} passes records without a value, which delete rows of {}, but those "
                      "that it is not true of whatever their fields",
                      step.id, tables),
          "a condition on fields is true of none of them, so it would keep each row for ever",
          fmt::format("where rows are to stay, write {}",
                      condition_with("value is not null and", *step.where))};
}

Problem remark_on_kept(const StepSpec& step, const std::string& tables, bool are_told_by_key) {
  return {step.line,
          fmt::format("step {} drops all records without a value, so none of them deletes a row "
                      "of {}",
                      step.id, tables),
          are_told_by_key
              ? "a condition that names `value` is obeyed as it is written; value and fields are "
                "null there"
              : "a record without a value deletes the row of the key that it came with, and the "
                "rows here have another, from fields",
          are_told_by_key
              ? fmt::format("where they are to delete rows, write {}",
                            condition_with("value is null or", *step.where))
              : "where they are to delete rows, begin with a table whose key is the record's own: "
                "`key`, or `coalesce(…, key)`"};
}

Problem remark_on_asked(const StepSpec& step, const std::string& tables) {
  return {step.line,
          fmt::format("step {} asks records without a value, which delete rows of {}, as any other",
                      step.id, tables),
          "value and all fields are null there, and what is not true drops the record",
          fmt::format("where all of them are to pass, write {}",
                      condition_with("value is null or", *step.where))};
}

std::optional<Problem> remark_on_deletions(const PipelineSpec& spec, const StepSpec& step) {
  const std::vector<std::string> upserting = tables_that_upsert(spec);
  if (upserting.empty() || !step.where) {
    return std::nullopt;
  }
  const std::string tables =
      fmt::format("table{} {}", upserting.size() == 1 ? "" : "s", fmt::join(upserting, ", "));
  switch (deletions_at_where(spec, step.where->text)) {
    case DeletionsAtWhere::kPassUnlessOut:
      return remark_on_passing(step, tables);
    case DeletionsAtWhere::kKeptOut:
      return remark_on_kept(step, tables, has_tables_with_deletions(spec));
    case DeletionsAtWhere::kAsked:
      return remark_on_asked(step, tables);
    case DeletionsAtWhere::kPass:
      break;  // it says so itself
  }
  return std::nullopt;
}

}  // namespace

std::vector<Problem> remarks_on(const PipelineSpec& spec) {
  std::vector<Problem> remarks;
  for (const StepSpec& step : spec.steps) {
    if (auto remark = remark_on_deletions(spec, step)) {
      remarks.push_back(std::move(*remark));
    }
  }
  const auto last = std::find_if(spec.steps.rbegin(), spec.steps.rend(),
                                 [](const StepSpec& step) { return step.aggregate.has_value(); });
  if (last == spec.steps.rend()) {
    return remarks;
  }
  const std::span<const StepSpec> later(last.base(), spec.steps.end());
  for (const SinkSpec& sink : spec.sinks) {
    if (sink.kind != SinkKind::kKafka) {
      add_remarks(remarks, sink, *last->aggregate, later);
    }
  }
  return remarks;
}

std::vector<Problem> remarks_on_kept_deletions(const PipelineSpec& spec) {
  std::vector<Problem> remarks;
  const std::vector<std::string> upserting = tables_that_upsert(spec);
  for (const StepSpec& step : spec.steps) {
    if (!upserting.empty() && step.where &&
        deletions_at_where(spec, step.where->text) == DeletionsAtWhere::kKeptOut) {
      remarks.push_back(*remark_on_deletions(spec, step));
    }
  }
  return remarks;
}

}  // namespace onceflow::pipeline
