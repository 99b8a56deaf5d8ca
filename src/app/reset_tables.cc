#include "app/reset_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <variant>

#include "base/check.h"
#include "connectors/sink.h"
#include "engine/kept_position.h"
#include "engine/topology.h"
#include "protocol/position_topics.h"

namespace onceflow::app {

using pipeline::SinkSpec;

Status joined_errors(const std::vector<Status>& done) {
  Status joined;
  for (const Status& one : done) {
    if (one) {
      continue;
    }
    if (joined) {
      joined = one;
    } else if (one.error().code == joined.error().code) {
      joined.error().text += "\n" + one.error().text;
    }
  }
  return joined;
}

namespace {

Status named(const protocol::PipelineDefinition::Stage& stage, Status done) {
  return done ? done
              : fail(done.error().code,
                     fmt::format("{}, sink {}: {}; nothing was done", stage.database, stage.id,
                                 done.error().text),
                     done.error().recovery);
}

}  // namespace

const SinkSpec* ResetTables::sink_on(const std::string& database) const {
  const auto place = std::ranges::find_if(planned_.spec.sinks, [&](const SinkSpec& sink) {
    return sink.kind == pipeline::SinkKind::kSqlite ? database == "sqlite " + sink.file
                                                    : to_string(sink.kind) == database;
  });
  return place == planned_.spec.sinks.end() ? nullptr : &*place;
}

connectors::SinkTable ResetTables::table_of(const DefinitionStage& stage) const {
  return {planned_.spec.name, stage.id, stage.outputs.front(), {}, {}};
}

Result<connectors::SinkPast> ResetTables::past_of(const DefinitionStage& stage) const {
  // Several sinks may be of one kind: the one of that name, else any that names the database.
  const auto same = std::ranges::find(planned_.spec.sinks, stage.id, &SinkSpec::id);
  const SinkSpec* sink = same != planned_.spec.sinks.end() &&
                                 same->kind != pipeline::SinkKind::kKafka &&
                                 (same->kind == pipeline::SinkKind::kPostgres ||
                                  stage.database == "sqlite " + same->file)
                             ? &*same
                             : sink_on(stage.database);
  if (sink == nullptr) {
    return fail(ErrorCode::kRefused,
                fmt::format("the position of sink {} is in {}, which the file does not name; "
                            "the rule: going on needs where it was; the fix: leave the sink "
                            "in the file, or start over",
                            stage.id, stage.database));
  }
  if (sink->kind == pipeline::SinkKind::kPostgres) {
    return connectors::read_postgres_past({.dsn = sink->dsn}, table_of(stage));
  }
  const auto exists = log_.os.disk().exists(sink->file);
  RETURN_IF_ERROR(exists);
  return *exists ? connectors::read_sqlite_past({.file = sink->file}, table_of(stage))
                 : Result<connectors::SinkPast>(connectors::SinkPast{});
}

Result<bool> ResetTables::has_missed_start_over(const DefinitionStage& stage,
                                                const TopicId& receipts_id) const {
  const auto past = past_of(stage);
  RETURN_IF_ERROR(past);
  return std::ranges::any_of(past->positions, [&](const connectors::ClaimedPartition& position) {
    const auto kept = protocol::parse_position_topics(position.topic_id).receipts_id;
    return position.next_offset != kNoOffset &&
           engine::is_another_topic(kept, engine::topic_id_text(receipts_id));
  });
}

Status ResetTables::check_rights(const protocol::PipelineDefinition& definition,
                                 const connectors::SinkReset& reset) const {
  std::vector<Status> checked;
  for (const SinkSpec& sink : planned_.spec.sinks) {
    const DefinitionStage* stage =
        sink.kind == pipeline::SinkKind::kPostgres ? definition.find(sink.id) : nullptr;
    if (stage != nullptr) {
      checked.push_back(named(
          *stage, connectors::check_postgres_rights({.dsn = sink.dsn}, table_of(*stage), reset)));
    }
  }
  return joined_errors(checked);
}

Status ResetTables::try_out(const DefinitionStage& stage, connectors::SinkReset reset,
                            const TopicId& receipts_id) const {
  return named(stage, run(stage, std::move(reset), receipts_id, connectors::ResetRun::kTrial));
}

// A sink's own look, which takes no partition and so compares no position: those are what the reset
// moves.
Task<Status> ResetTables::check_fit() const {
  std::vector<Status> looked;
  for (const engine::Stage& stage : planned_.plan.stages) {
    const auto* output = std::get_if<engine::SinkOutput>(&stage.output);
    if (output == nullptr) {
      continue;
    }
    const auto sink = output->make_sink(log_.os.environment());
    CO_RETURN_IF_ERROR(sink);
    const auto found = co_await (*sink)->look({});
    if (!found && found.error().code == ErrorCode::kRefused) {
      looked.push_back(fail(ErrorCode::kRefused,
                            fmt::format("sink {}: {}; run would refuse it; nothing was done",
                                        stage.id, found.error().text)));
    }
  }
  co_return joined_errors(looked);
}

Status ResetTables::run(const DefinitionStage& stage, connectors::SinkReset reset,
                        const TopicId& receipts_id, connectors::ResetRun run) const {
  const auto sink = std::ranges::find(planned_.spec.sinks, stage.id, &SinkSpec::id);
  CHECK(sink != planned_.spec.sinks.end());
  for (connectors::ClaimedPartition& position : reset.positions) {
    if (position.next_offset != kNoOffset && !receipts_id.is_zero()) {
      position.topic_id = protocol::to_text(
          protocol::PositionTopics{position.topic_id, engine::topic_id_text(receipts_id)});
    }
  }
  return sink->kind == pipeline::SinkKind::kPostgres
             ? connectors::reset_postgres_sink({.dsn = sink->dsn}, table_of(stage), reset, run)
             : connectors::reset_sqlite_sink({.file = sink->file}, table_of(stage), reset, run);
}

}  // namespace onceflow::app
