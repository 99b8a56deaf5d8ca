#include "sim/pipelines/ending.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <variant>

#include "base/check.h"
#include "client/admin.h"
#include "engine/definition_log.h"
#include "pipeline/definition.h"
#include "sim/visitor.h"
#include "sim/workloads/broker_node.h"

namespace onceflow::sim {

namespace {

constexpr Duration kStopPatience = seconds(30);
constexpr Duration kLookEvery = milliseconds(200);
/// What was sent to the database arrives within it.
constexpr Duration kSentCommitsMax = seconds(5);

}  // namespace

void Ending::visit(const Visit& visit) {
  const bool has_ended = run_visitor(
      scene.world, "late-visitor",
      [&](SimProcess& process) -> Task<void> {
        auto cluster =
            client::Cluster::create(process.environment(), simulated_client_options("late"));
        co_await visit(process, cluster);
        cluster->close();
      },
      kVisitMax);
  CHECK(has_ended);
}

void Ending::feed(std::vector<Document> documents) {
  visit([&](SimProcess& process, std::shared_ptr<client::Cluster> cluster) -> Task<void> {
    client::Producer producer(cluster, {});
    for (Document& document : documents) {
      scene.feeder.feed(process, producer, std::move(document));
    }
    CHECK((co_await producer.flush(process.scheduler().now() + kVisitMax)).has_value());
  });
}

std::vector<Document> Ending::draw_documents(std::uint64_t count_max) {
  std::vector<Document> drawn;
  const std::uint64_t count = 1 + scene.random.below(count_max);
  drawn.reserve(count);
  for (std::uint64_t index = 0; index < count; ++index) {
    drawn.push_back(
        scene.feeder.documents().draw(scene.feeder.number() + static_cast<std::int64_t>(index)));
  }
  return drawn;
}

void Ending::take_down() {
  scene.workers.take_down();
  scene.world.run_for(kSentCommitsMax);
}

void Ending::expect_right_or_refused(const std::string& what, const std::vector<std::string>& named,
                                     Refused refused) {
  // A stage may have claimed its positions, and stop by them: no record is missing for that.
  if (refused == Refused::kStopped && before.record_count() == 0) {
    refused = Refused::kAnew;
  }
  const bool may_come_late = refused == Refused::kStopped || refused == Refused::kAnew;
  std::vector<Judged> judged;
  judged.reserve(scene.pipelines.size());
  for (const DrawnPipeline& pipeline : scene.pipelines) {
    // Rows may be right already, where no new record counts: a stop is given time to come.
    MonotonicTime next_look = scene.world.now() + (may_come_late ? kStopPatience : Duration(0));
    scene.world.run_until(
        [&] {
          if (!scene.workers.refusal_of(pipeline).empty()) {
            return true;
          }
          if (scene.world.now() < next_look) {
            return false;
          }
          next_look = scene.world.now() + kLookEvery;
          return is_right(pipeline);
        },
        kPatience);
    const std::string refusal = scene.workers.refusal_of(pipeline);
    if (!refusal.empty() && std::ranges::none_of(named, [&](const std::string& words) {
          return refusal.contains(words);
        })) {
      scene.findings.report(
          "STG-1", fmt::format("{}: {}: it stops, and does not name '{}': {}", pipeline.name(),
                               what, fmt::join(named, "' or '"), refusal));
    } else if (refusal.empty() && !is_right(pipeline)) {
      scene.findings.report(
          "STG-1", fmt::format("{}: {}: neither right nor refused", pipeline.name(), what));
    }
    if (refused == Refused::kBefore) {
      judged.push_back({pipeline, refusal.empty() ? scene.input : before});
    } else if (refused == Refused::kStopped && !refusal.empty() &&
               audit(scene.world, scene.database.image(), pipeline).empty()) {
      scene.findings.report("AUD-1",
                            fmt::format("{}: {}: the audit says clean", pipeline.name(), what));
    } else if (refused == Refused::kAnew && !refusal.empty() &&
               says_all_is_there(scene.world, scene.database.image(), pipeline)) {
      scene.findings.report(
          "AUD-1", fmt::format("{}: {}: the audit says that all is there", pipeline.name(), what));
    }
  }
  judge_by_both(scene.world, scene.database.image(), judged, scene.findings);
}

void Ending::expect_right(const std::string& what) {
  std::vector<Judged> judged;
  judged.reserve(scene.pipelines.size());
  for (const DrawnPipeline& pipeline : scene.pipelines) {
    MonotonicTime next_look = scene.world.now();
    scene.world.run_until(
        [&] {
          if (scene.world.now() < next_look) {
            return false;
          }
          next_look = scene.world.now() + kLookEvery;
          return is_right(pipeline) || !scene.workers.refusal_of(pipeline).empty();
        },
        kPatience);
    const std::string refusal = scene.workers.refusal_of(pipeline);
    if (!refusal.empty()) {
      scene.findings.report("STG-1",
                            fmt::format("{}: {}: it stops: {}", pipeline.name(), what, refusal));
    }
    judged.push_back({pipeline, scene.input});
  }
  judge_by_both(scene.world, scene.database.image(), judged, scene.findings);
}

std::vector<std::size_t> Ending::positions_of(const DrawnPipeline& pipeline,
                                              const pipeline::PlannedPipeline& planned) {
  const engine::Stage& first = planned.plan.stages.front();
  std::vector<TopicPartition> sources;
  sources.reserve(scene.input.partitions.size());
  for (std::size_t index = 0; index < scene.input.partitions.size(); ++index) {
    sources.push_back({kInputTopic, PartitionIndex(static_cast<std::int32_t>(index))});
  }
  std::vector<std::size_t> positions(sources.size());
  const auto keep = [&](std::size_t index, Offset offset) {
    positions[index] = static_cast<std::size_t>(std::max(offset, Offset(0)).value);
  };
  if (std::holds_alternative<engine::SinkOutput>(first.output)) {
    const auto& stored = scene.database.table(pipeline.table()).positions;
    for (std::size_t index = 0; index < sources.size(); ++index) {
      const auto place = stored.find(sources[index]);
      keep(index, place == stored.end() ? Offset(0) : place->second.next_offset);
    }
    return positions;
  }
  visit([&](SimProcess& process, std::shared_ptr<client::Cluster> cluster) -> Task<void> {
    client::Admin admin(cluster);
    const auto committed =
        co_await admin.committed(first.group_id, sources, process.scheduler().now() + kVisitMax);
    CHECK(committed.has_value());
    for (const client::CommittedOffset& offset : *committed) {
      keep(static_cast<std::size_t>(offset.partition.partition.value), offset.offset);
    }
  });
  return positions;
}

void Ending::go_on_with_next_file(DrawnPipeline& pipeline) {
  scene.world.note("world", pipeline.next_file());
  const pipeline::PlannedPipeline planned = DrawnPipeline::plan(pipeline.next_file());
  pipeline.go_on_with_next_file(positions_of(pipeline, planned));
  protocol::PipelineDefinition definition = pipeline::definition_of(planned);
  visit([&](SimProcess& process, std::shared_ptr<client::Cluster> cluster) -> Task<void> {
    engine::DefinitionLog definitions(cluster, definition, {});
    const MonotonicTime deadline = process.scheduler().now() + kVisitMax;
    const auto known = co_await definitions.read(deadline);
    CHECK(known.has_value());
    const auto changes = co_await definitions.changes(*known, deadline);
    CHECK(changes.has_value());
    if (!engine::has_refusal(*changes)) {
      co_return;
    }
    if (!engine::may_keep_states(*changes)) {
      scene.findings.report("STG-2", pipeline.name() + ": its state may not be kept");
    }
    protocol::PipelineDefinition kept = definition;
    kept.kind = protocol::PipelineDefinition::Kind::kStatesKept;
    CHECK((co_await definitions.write(std::move(kept), deadline)).has_value());
  });
}

}  // namespace onceflow::sim
