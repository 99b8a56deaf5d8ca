#include "pipeline/remarks.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <utility>

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

}  // namespace

std::vector<Problem> remarks_on(const PipelineSpec& spec) {
  std::vector<Problem> remarks;
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

}  // namespace onceflow::pipeline
