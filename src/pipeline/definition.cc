#include "pipeline/definition.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "base/check.h"

#include "pipeline/definition_spelling.h"
#include "pipeline/deletions.h"
#include "pipeline/sink_columns.h"
#include "protocol/definition_lines.h"

namespace onceflow::pipeline {
namespace {

std::string_view name_of(engine::AggregateFunction function) {
  switch (function) {
    case engine::AggregateFunction::kCount:
      return "count";
    case engine::AggregateFunction::kSum:
      return "sum";
    case engine::AggregateFunction::kMin:
      return "min";
    case engine::AggregateFunction::kMax:
      return "max";
    case engine::AggregateFunction::kAvg:
      return "avg";
  }
  return "unknown";
}

using Lines = std::vector<std::string>;

Lines lines_of(const std::vector<Assignment>& set) {
  Lines lines;
  for (const Assignment& assignment : set) {
    lines.push_back(fmt::format("set {} = {}", canonical_path(assignment.path),
                                canonical_text(assignment.expression.text)));
  }
  return lines;
}

Lines lines_of(const KeySpec& key) {
  Lines lines;
  for (const NamedExpression& column : key.columns) {
    lines.push_back(fmt::format("key {} = {}", protocol::name_in_line(column.name),
                                canonical_text(column.expression.text)));
  }
  return lines;
}

std::string definition_of(const AggregateStepSpec& step) {
  std::string text;
  for (const AggregateColumnSpec& column : step.columns) {
    text += fmt::format("aggregate {} = {}({}){}\n", protocol::name_in_line(column.column.name),
                        name_of(column.column.function),
                        column.argument ? canonical_text(column.argument->text) : "*",
                        column.column.is_decimal ? " decimal" : "");
  }
  return text;
}

std::string definition_of(const SinkSpec& sink, const std::vector<ResolvedColumn>& columns) {
  std::string text = sink.mode == connectors::SinkMode::kUpsert ? "mode upsert\n" : "mode append\n";
  for (const ResolvedColumn& column : columns) {
    text += fmt::format("{} {} {} = {}\n", column.column.is_key ? "key column" : "column",
                        protocol::name_in_line(column.column.name), to_string(column.column.type),
                        canonical_text(column.expression.text));
  }
  return text;
}

std::string database_of(const SinkSpec& sink) {
  return sink.kind == SinkKind::kSqlite ? "sqlite " + sink.file : to_string(sink.kind);
}

// Walks the steps of the file beside the stages that the planner has made of them.
class Walk {
 public:
  explicit Walk(const PlannedPipeline& planned) : planned_(planned) {}

  protocol::PipelineDefinition run() {
    definition_.pipeline = planned_.spec.name;
    definition_.guarantee = planned_.plan.guarantee == engine::Guarantee::kExactlyOnce
                                ? "exactly_once"
                                : "at_least_once";
    definition_.flags = planned_.plan.offset_reset == engine::OffsetReset::kLatest
                            ? "auto.offset.reset: latest"
                            : "auto.offset.reset: earliest";
    const bool has_deletions = has_tables_with_deletions(planned_.spec);
    for (const StepSpec& step : planned_.spec.steps) {
      if (keeps_state_) {
        close();
      }
      if (step.where) {
        // Which records come is no part of what a state is made of them.
        const bool passes = has_deletions && passes_deletions(step.where->text);
        open_ += fmt::format("where {}{}\n", canonical_text(step.where->text),
                             passes ? protocol::kPassesDeletions : "");
      }
      add_step(lines_of(step.set));
      if (step.key) {
        add_step(lines_of(*step.key));
        key_ = &*step.key;
      }
      if (step.aggregate) {
        close();
        const std::string lines = definition_of(*step.aggregate);
        open_ += lines;
        all_ += lines;
        keeps_state_ = true;
        shape_ = AggregateShape{*key_, *step.aggregate};
      }
    }
    while (definition_.stages.size() < planned_.plan.stages.size()) {
      close();
    }
    return std::move(definition_);
  }

 private:
  void add_step(const Lines& lines) {
    protocol::append_step(open_, lines);
    protocol::append_step(all_, lines);
  }

  // The next stage is what has been walked through since the last one.
  void close() {
    const engine::Stage& stage = planned_.plan.stages[definition_.stages.size()];
    protocol::PipelineDefinition::Stage& definition = definition_.stages.emplace_back();
    definition.id = stage.id;
    definition.group_id = stage.group_id;
    definition.sources = stage.source_topics;
    definition.steps = std::exchange(open_, {});
    if (std::exchange(keeps_state_, false)) {
      definition.state = all_;
      definition.changelog_topic = stage.aggregate->changelog_topic;
    }
    if (const auto* topics = std::get_if<std::vector<engine::TopicOutput>>(&stage.output)) {
      for (const engine::TopicOutput& topic : *topics) {
        definition.outputs.push_back(topic.topic);
      }
      return;
    }
    const auto sink = std::ranges::find(planned_.spec.sinks, stage.id, &SinkSpec::id);
    CHECK(sink != planned_.spec.sinks.end());
    const auto columns = resolve_columns(*sink, shape_, planned_.spec);
    CHECK(columns.has_value());  // as it was when the file was planned
    definition.database = database_of(*sink);
    definition.outputs = {sink->table};
    definition.columns = definition_of(*sink, *columns);
  }

  const PlannedPipeline& planned_;
  protocol::PipelineDefinition definition_;
  std::string open_;                    ///< since the last stage
  std::string all_{kValuesDefinition};  ///< since the source
  bool keeps_state_ = false;
  const KeySpec* key_ = nullptr;
  std::optional<AggregateShape> shape_;
};

}  // namespace

protocol::PipelineDefinition definition_of(const PlannedPipeline& planned) {
  return Walk(planned).run();
}

}  // namespace onceflow::pipeline
