#include "app/reset_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>
#include <utility>
#include <variant>

#include "base/check.h"
#include "connectors/sink.h"
#include "engine/kept_position.h"
#include "engine/left_topics.h"
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

bool is_on(const SinkSpec& sink, const protocol::PipelineDefinition::Stage& stage) {
  return sink.kind == pipeline::SinkKind::kSqlite
             ? stage.database == "sqlite " + sink.file
             : sink.kind == pipeline::SinkKind::kPostgres && stage.database == to_string(sink.kind);
}

}  // namespace

bool has_any(const connectors::SinkPast& past) {
  return past.position_count + past.receipt_count > 0;
}

std::vector<client::CommittedOffset> offsets_in(const connectors::SinkPast& past,
                                                std::vector<TopicPartition> partitions) {
  std::vector<client::CommittedOffset> found;
  found.reserve(partitions.size());
  for (TopicPartition& partition : partitions) {
    const auto place =
        std::ranges::find(past.positions, partition, &connectors::ClaimedPartition::source);
    found.push_back({.partition = std::move(partition),
                     .offset = place == past.positions.end() ? kNoOffset : place->next_offset,
                     .metadata = {}});
  }
  return found;
}

connectors::SinkTable ResetTables::table_of(const DefinitionStage& stage) const {
  return {planned_.spec.name, stage.id, stage.outputs.front(), {}, {}};
}

Result<connectors::SinkPast> ResetTables::read(const SinkSpec& sink,
                                               const DefinitionStage& stage) const {
  if (sink.kind == pipeline::SinkKind::kPostgres) {
    return connectors::read_postgres_past({.dsn = sink.dsn}, table_of(stage));
  }
  const auto exists = log_.os.disk().exists(sink.file);
  RETURN_IF_ERROR(exists);
  return *exists ? connectors::read_sqlite_past({.file = sink.file}, table_of(stage))
                 : Result<connectors::SinkPast>(connectors::SinkPast{});
}

Result<connectors::SinkPast> ResetTables::past_of(const DefinitionStage& stage) const {
  const std::vector<SinkSpec>& sinks = planned_.spec.sinks;
  const auto same = std::ranges::find(sinks, stage.id, &SinkSpec::id);
  if (same != sinks.end() && is_on(*same, stage)) {
    return read(*same, stage);
  }
  if (stage.database == to_string(pipeline::SinkKind::kPostgres)) {
    return past_in_postgres(stage);
  }
  const auto place =
      std::ranges::find_if(sinks, [&](const SinkSpec& sink) { return is_on(sink, stage); });
  if (place == sinks.end()) {
    return fail(ErrorCode::kRefused,
                fmt::format("the position of sink {} is in {}, which the file does not name; "
                            "the rule: going on needs where it was; the fix: leave the sink "
                            "in the file, or start over",
                            stage.id, stage.database));
  }
  return read(*place, stage);
}

// What is known of a stage does not say which of all PostgreSQL databases is its own: that of the
// sink that writes its table now, where it knows of the stage. Another one of the file may know of
// it too, from a time when the sink had that dsn.
Result<connectors::SinkPast> ResetTables::past_in_postgres(const DefinitionStage& stage) const {
  std::optional<connectors::SinkPast> found;
  std::set<std::string> asked;
  for (const SinkSpec& sink : planned_.spec.sinks) {
    if (sink.kind != pipeline::SinkKind::kPostgres || sink.table != stage.outputs.front() ||
        !asked.insert(sink.dsn).second) {
      continue;
    }
    auto past = read(sink, stage);
    RETURN_IF_ERROR(past);
    if (!has_any(*past)) {
      continue;
    }
    if (found) {
      return fail(ErrorCode::kRefused,
                  fmt::format("two databases of the file hold positions of sink {}, table {}; the "
                              "rule: going on needs where it was; the fix: leave the sink in the "
                              "file, or start over",
                              stage.id, stage.outputs.front()));
    }
    found = std::move(*past);
  }
  if (found) {
    return *std::move(found);
  }
  return fail(ErrorCode::kRefused,
              fmt::format("the position of sink {} is in a PostgreSQL database, and none of a sink "
                          "of the file that writes table {} holds it; the rule: going on needs "
                          "where it was; the fix: leave the sink in the file, or start over",
                          stage.id, stage.outputs.front()));
}

Result<connectors::SinkPast> ResetTables::past_in(const DefinitionStage& after,
                                                  const DefinitionStage& stage) const {
  const auto sink = std::ranges::find(planned_.spec.sinks, after.id, &SinkSpec::id);
  CHECK(sink != planned_.spec.sinks.end());
  return is_on(*sink, stage) ? read(*sink, stage) : past_of(stage);
}

Result<const ResetTables::DefinitionStage*> ResetTables::known_in(
    const DefinitionStage& after, const std::vector<const DefinitionStage*>& stages) const {
  std::vector<const DefinitionStage*> known;
  std::string names;
  for (const DefinitionStage* stage : stages) {
    const auto past = past_in(after, *stage);
    RETURN_IF_ERROR(past);
    if (has_any(*past)) {
      known.push_back(stage);
    }
    names += (names.empty() ? "" : ", ") + stage->id;
  }
  if (known.size() != 1) {
    return fail(ErrorCode::kRefused,
                fmt::format("sink {} writes table {}, as {} did, and its database holds positions "
                            "of {} of them; the rule: a sink goes on where one other was; the fix: "
                            "give one sink another name at a time, with a reset for each; or start "
                            "over",
                            after.id, after.outputs.front(), names,
                            known.empty() ? "none" : "more than one"));
  }
  return known.front();
}

Result<const ResetTables::DefinitionStage*> ResetTables::predecessor_of(
    const DefinitionStage& stage, const protocol::PipelineDefinition& known,
    const protocol::PipelineDefinition& file) const {
  if (const DefinitionStage* same = known.find(stage.id)) {
    return same;
  }
  std::vector<const DefinitionStage*> former;
  for (const DefinitionStage& before : known.stages) {
    if (file.find(before.id) == nullptr && engine::takes_over(before, stage)) {
      former.push_back(&before);
    }
  }
  if (stage.is_database() && former.size() > 1) {
    return known_in(stage, former);
  }
  return former.empty() ? nullptr : former.front();
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
