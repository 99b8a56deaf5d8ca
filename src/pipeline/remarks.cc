#include "pipeline/remarks.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "base/check.h"
#include "pipeline/deletion_key.h"
#include "pipeline/deletions.h"
#include "pipeline/sink_columns.h"
#include "pipeline/step_to_add.h"
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
                "rows here have another",
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
  switch (deletions_at_where(spec, step)) {
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

// In front of a table that appends beside one that deletions are for.
std::optional<Problem> remark_on_appended(const PipelineSpec& spec, const StepSpec& step) {
  std::vector<std::string> appending;
  for (const SinkSpec& sink : spec.sinks) {
    if (sink.kind != SinkKind::kKafka && sink.mode == connectors::SinkMode::kAppend) {
      appending.push_back(sink.table);
    }
  }
  if (appending.empty() || !step.where ||
      deletions_at_where(spec, step) != DeletionsAtWhere::kPassUnlessOut) {
    return std::nullopt;
  }
  return Problem{
      step.line,
      fmt::format("table{} {} with `mode: append` get{} a row of each record without a value that "
                  "step {} passes, with null for its fields",
                  appending.size() == 1 ? "" : "s", fmt::join(appending, ", "),
                  appending.size() == 1 ? "s" : "", step.id),
      "a step stands in front of all sinks, and what passes it to delete rows of one table comes "
      "to all",
      fmt::format("where such rows are not wanted, write the tables in two pipelines, or {}",
                  condition_with("value is not null and", *step.where))};
}

// `<> null` and its like validate, and look like a filter.
std::optional<Problem> remark_on_never(const StepSpec& step) {
  if (!step.where) {
    return std::nullopt;
  }
  const auto judged =
      DeletionCondition::prepare(step.where->text, DeletionCondition::Unknown::kRecord);
  CHECK(judged.has_value());  // SQLite has accepted it
  if ((*judged)->judge({}, {}).may_be_true) {
    return std::nullopt;
  }
  return Problem{step.line,
                 fmt::format("step {} drops every record: `{}` is true of none, whatever is in it",
                             step.id, step.where->text),
                 "what is compared with null is null (`= null`, `<> null`, `not in (…, null)`), "
                 "and a condition that is null or false drops the record",
                 "for null write `is null` or `is not null`, and leave it out of lists; where none "
                 "is to pass, nothing is to be done"};
}

DeletionKey::Outcomes outcomes_of(const std::vector<Expression>& key) {
  const auto prepared = DeletionKey::prepare(key, DeletionCondition::Unknown::kOtherParts);
  CHECK(prepared.has_value());  // SQLite has accepted it
  return prepared->judge({}, {});
}

// The last step that makes the record's key of what does not tell a row, if nothing after it makes
// another.
const StepSpec* step_that_loses_keys(const PipelineSpec& spec) {
  const StepSpec* found = nullptr;
  for (const StepSpec& step : spec.steps) {
    if (step.key && outcomes_of(expressions_of(*step.key)).may_be_lost) {
      found = &step;
    }
  }
  return found;
}

std::string what_makes_keys(const StepSpec& step) {
  const bool is_of_fields = std::ranges::any_of(step.key->columns, [](const NamedExpression& part) {
    return reads_value(part.expression.text);
  });
  return fmt::format("step {} makes its key of {}", step.id,
                     is_of_fields ? "fields" : "what is not the record's key");
}

Problem remark_on_lost(int line, const std::string& table, std::string_view made_of,
                       bool is_certain) {
  return {line,
          fmt::format("a record without a value, which deletes a row of table {}, {} refused where "
                      "it comes: {}",
                      table, is_certain ? "is" : "may be", made_of),
          "it has no fields; what tells its row is the key that it came with",
          "where such records come, tell rows by `key`, or by a key that comes to it where there "
          "are no fields (coalesce), or keep them out by a first step: "
          "`- { id: known, where: \"value is not null\" }`"};
}

// In front of topics alone nothing refuses a record whose key is not the one that it came with.
std::optional<Problem> remark_on_topics(const PipelineSpec& spec) {
  const bool has_results = std::ranges::any_of(
      spec.steps, [](const StepSpec& step) { return step.aggregate.has_value(); });
  const bool none_comes = std::ranges::any_of(spec.steps, [&](const StepSpec& step) {
    return step.where && deletions_at_where(spec, step) == DeletionsAtWhere::kKeptOut;
  });
  std::vector<std::string> topics;
  for (const SinkSpec& sink : spec.sinks) {
    if (sink.kind == SinkKind::kKafka) {
      topics.push_back(sink.topic);
    }
  }
  const StepSpec* const step = step_that_loses_keys(spec);
  if (has_results || none_comes || topics.empty() || !tables_that_upsert(spec).empty() ||
      step == nullptr) {
    return std::nullopt;
  }
  return Problem{
      step->line,
      fmt::format("a record without a value goes into topic{} {} under another key than the record "
                  "that it deletes: {}",
                  topics.size() == 1 ? "" : "s", fmt::join(topics, ", "), what_makes_keys(*step)),
      "it has no fields; who reads the topic as a table deletes another row, or none",
      "where such records come, write a key that comes to the record's own where there are no "
      "fields (coalesce), or keep them out by a first step: "
      "`- { id: known, where: \"value is not null\" }`"};
}

// Of a key column that is a field alone the record says it in time: it is null there.
enum class LostKeys { kAll, kButFields };

// Each table has one such remark at most.
std::vector<Problem> remarks_on_lost_keys(const PipelineSpec& spec, LostKeys wanted) {
  std::vector<Problem> remarks;
  const auto any_where = [&](DeletionsAtWhere wanted) {
    return std::ranges::any_of(spec.steps, [&](const StepSpec& step) {
      return step.where && deletions_at_where(spec, step) == wanted;
    });
  };
  if (any_where(DeletionsAtWhere::kKeptOut) || tables_that_upsert(spec).empty()) {
    return remarks;
  }
  const bool all_come = !any_where(DeletionsAtWhere::kAsked);
  const StepSpec* const step = step_that_loses_keys(spec);
  const bool step_tells_none =
      step != nullptr && !outcomes_of(expressions_of(*step->key)).may_be_told;
  for (const SinkSpec& sink : spec.sinks) {
    const auto columns = resolve_columns(sink, std::nullopt, spec);
    if (sink.kind == SinkKind::kKafka || !columns) {
      continue;
    }
    std::vector<const ResolvedColumn*> key_columns;
    std::vector<Expression> key;
    for (const ResolvedColumn& column : *columns) {
      if (column.column.is_key) {
        key_columns.push_back(&column);
        key.push_back(column.expression);
      }
    }
    if (key.empty()) {
      continue;
    }
    const auto [may_be_told, lost] = outcomes_of(key);
    const ResolvedColumn& column = *key_columns[lost ? lost->part : 0];
    if (lost && lost->why == DeletionKey::Why::kPart && column.expression.path &&
        wanted == LostKeys::kButFields) {
      continue;
    }
    if (lost) {
      remarks.push_back(
          remark_on_lost(sink.line, sink.table,
                         lost->why == DeletionKey::Why::kNoPart && key.size() > 1
                             ? "no column of the row's key comes to its key"
                             : fmt::format("key column {} is made of `{}`", column.column.name,
                                           column.expression.text),
                         all_come && (!may_be_told || step_tells_none)));
    } else if (step != nullptr) {
      remarks.push_back(remark_on_lost(step->line, sink.table, what_makes_keys(*step),
                                       all_come && step_tells_none));
    }
  }
  return remarks;
}

// A warning where the key that it asks is made of fields: it does not say so itself.
std::vector<RemarkOfRun> remarks_on_kept_deletions(const PipelineSpec& spec) {
  std::vector<RemarkOfRun> remarks;
  if (!tables_that_upsert(spec).empty()) {
    for (const StepSpec& step : spec.steps) {
      if (step.where && deletions_at_where(spec, step) == DeletionsAtWhere::kKeptOut) {
        const bool asks_itself = reads_value(step.where->text);
        remarks.push_back(
            {asks_itself ? LogLevel::kInfo : LogLevel::kWarn, *remark_on_deletions(spec, step)});
      }
    }
  }
  return remarks;
}

// Records of one row that come by two partitions: what is read last is the row.
std::vector<Problem> remarks_on_order(const PipelineSpec& spec) {
  std::vector<Problem> remarks;
  const auto any_step = [&](auto is) { return std::ranges::any_of(spec.steps, is); };
  if (any_step([](const StepSpec& step) { return step.aggregate.has_value(); })) {
    return remarks;
  }
  const bool has_other_keys = any_step([](const StepSpec& step) { return step.key.has_value(); });
  for (const SinkSpec& sink : spec.sinks) {
    const auto columns = resolve_columns(sink, std::nullopt, spec);
    if (sink.kind == SinkKind::kKafka || sink.mode != connectors::SinkMode::kUpsert || !columns) {
      continue;
    }
    const bool is_by_key =
        !has_other_keys && std::ranges::any_of(*columns, [](const ResolvedColumn& column) {
          return column.column.is_key && column.expression.text == "key";
        });
    if (is_by_key && spec.source.topics.size() == 1) {
      continue;
    }
    remarks.push_back(
        {sink.line,
         fmt::format("a row of table {} is the record that is read last, which may be an older one "
                     "where its records come by two {}",
                     sink.table, is_by_key ? "topics" : "partitions"),
         "partitions are read side by side, and the order of records holds within one; the audit "
         "cannot know of it",
         is_by_key ? "where both topics have records of one key, write their tables in two "
                     "pipelines, or produce to one topic"
                   : "produce with the row's key as the record's key, or to a topic of one "
                     "partition; a key column that is `key` itself needs no more"});
  }
  return remarks;
}

}  // namespace

std::vector<Problem> remarks_on(const PipelineSpec& spec) {
  std::vector<Problem> remarks;
  for (const StepSpec& step : spec.steps) {
    for (auto& remark :
         {remark_on_never(step), remark_on_deletions(spec, step), remark_on_appended(spec, step)}) {
      if (remark) {
        remarks.push_back(*remark);
      }
    }
  }
  std::ranges::move(remarks_on_lost_keys(spec, LostKeys::kAll), std::back_inserter(remarks));
  if (auto remark = remark_on_topics(spec)) {
    remarks.push_back(std::move(*remark));
  }
  std::ranges::move(remarks_on_order(spec), std::back_inserter(remarks));
  const auto last = std::find_if(spec.steps.rbegin(), spec.steps.rend(),
                                 [](const StepSpec& step) { return step.aggregate.has_value(); });
  if (last == spec.steps.rend()) {
    return with_free_step_ids(std::move(remarks), spec);
  }
  const std::span<const StepSpec> later(last.base(), spec.steps.end());
  for (const SinkSpec& sink : spec.sinks) {
    if (sink.kind != SinkKind::kKafka) {
      add_remarks(remarks, sink, *last->aggregate, later);
    }
  }
  return with_free_step_ids(std::move(remarks), spec);
}

std::vector<RemarkOfRun> remarks_of_run(const PipelineSpec& spec) {
  std::vector<RemarkOfRun> remarks;
  std::ranges::move(remarks_on_kept_deletions(spec), std::back_inserter(remarks));
  for (const Problem& remark : remarks_on_lost_keys(spec, LostKeys::kButFields)) {
    remarks.push_back({LogLevel::kWarn, remark});
  }
  if (auto remark = remark_on_topics(spec)) {
    remarks.push_back({LogLevel::kWarn, std::move(*remark)});
  }
  for (const StepSpec& step : spec.steps) {
    for (auto& remark : {remark_on_never(step), remark_on_appended(spec, step)}) {
      if (remark) {
        remarks.push_back({LogLevel::kWarn, *remark});
      }
    }
  }
  for (const Problem& remark : remarks_on_order(spec)) {
    remarks.push_back({LogLevel::kInfo, remark});
  }
  for (RemarkOfRun& each : remarks) {
    each.remark = with_free_step_id(std::move(each.remark), spec);
  }
  return remarks;
}

}  // namespace onceflow::pipeline
