#include "proof/audit_subject.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <variant>

#include "base/check.h"
#include "connectors/postgres_sink.h"

namespace onceflow::proof {
namespace {

bool is_users_topic(const pipeline::PipelineSpec& spec, const std::string& topic) {
  return std::ranges::any_of(spec.sinks, [&](const pipeline::SinkSpec& sink) {
    return sink.kind == pipeline::SinkKind::kKafka && sink.topic == topic;
  });
}

// Two sinks may write tables of one name in two databases.
std::string full_name_of_table(const pipeline::PipelineSpec& spec, const pipeline::SinkSpec& sink) {
  const bool is_alone = std::ranges::count(spec.sinks, sink.table, &pipeline::SinkSpec::table) == 1;
  return is_alone ? std::string()
                  : fmt::format("{} (sink {}, {})", sink.table, sink.id,
                                sink.kind == pipeline::SinkKind::kSqlite
                                    ? sink.file
                                    : connectors::name_postgres_database(sink.dsn));
}

audit::TableSubject table_subject(const pipeline::PipelineSpec& spec,
                                  const engine::SinkOutput& output) {
  const connectors::SinkTable& table = output.table;
  const auto sink = std::ranges::find(spec.sinks, table.stage, &pipeline::SinkSpec::id);
  CHECK(sink != spec.sinks.end());
  const bool is_sqlite = sink->kind == pipeline::SinkKind::kSqlite;
  audit::TableSubject subject{
      .kind = is_sqlite ? audit::TableKind::kSqlite : audit::TableKind::kPostgres,
      .location = is_sqlite ? sink->file : sink->dsn,
      .table = table.table,
      .full_name = full_name_of_table(spec, *sink),
      .is_upsert = table.mode == connectors::SinkMode::kUpsert};
  for (const connectors::SinkColumn& column : table.columns) {
    subject.columns.push_back({column.name, column.type, column.is_key});
  }
  return subject;
}

audit::AggregateSubject aggregate_subject(const engine::AggregateSpec& spec) {
  using Function = audit::AggregateSubject::Function;
  const auto function_of = [](engine::AggregateFunction function) {
    switch (function) {
      case engine::AggregateFunction::kCount:
        return Function::kCount;
      case engine::AggregateFunction::kSum:
        return Function::kSum;
      case engine::AggregateFunction::kMin:
        return Function::kMin;
      case engine::AggregateFunction::kMax:
        return Function::kMax;
      case engine::AggregateFunction::kAvg:
        return Function::kAvg;
    }
    CHECK(false);
  };
  audit::AggregateSubject subject{.changelog_topic = spec.changelog_topic};
  for (const engine::AggregateColumn& column : spec.columns) {
    subject.columns.push_back({column.name, function_of(column.function)});
  }
  return subject;
}

audit::StageSubject stage_subject(const pipeline::PlannedPipeline& planned,
                                  const engine::Stage& stage) {
  audit::StageSubject subject{
      .id = stage.id, .source_topics = stage.source_topics, .group_id = stage.group_id};
  if (const auto* sink = std::get_if<engine::SinkOutput>(&stage.output)) {
    subject.table = table_subject(planned.spec, *sink);
  } else {
    for (const auto& topic : std::get<std::vector<engine::TopicOutput>>(stage.output)) {
      subject.output_topics.push_back({topic.topic, !is_users_topic(planned.spec, topic.topic)});
    }
    if (stage.aggregate) {
      subject.output_topics.push_back({stage.aggregate->changelog_topic, true});
      subject.aggregate = aggregate_subject(*stage.aggregate);
    }
    subject.is_exactly_once = planned.plan.guarantee == engine::Guarantee::kExactlyOnce;
  }
  subject.begins_at_earliest = stage.source_topics != planned.spec.source.topics ||
                               planned.plan.offset_reset == engine::OffsetReset::kEarliest;
  return subject;
}

}  // namespace

audit::AuditSubject audit_subject(const pipeline::PlannedPipeline& planned) {
  audit::AuditSubject subject{.pipeline = planned.plan.pipeline,
                              .receipts_topic = planned.plan.receipts_topic};
  for (const engine::Stage& stage : planned.plan.stages) {
    subject.stages.push_back(stage_subject(planned, stage));
  }
  return subject;
}

}  // namespace onceflow::proof
