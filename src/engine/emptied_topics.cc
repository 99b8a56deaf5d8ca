#include "engine/emptied_topics.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "client/admin.h"
#include "engine/receipt_search.h"

namespace onceflow::engine {
namespace {

/// Partition 0 of each topic that it has begun: a first start fixes it with all others.
std::vector<TopicPartition> first_partitions(const Stage& stage,
                                             const protocol::PipelineDefinition::Stage& before) {
  std::vector<TopicPartition> partitions;
  for (const std::string& topic : stage.source_topics) {
    if (std::ranges::find(before.sources, topic) != before.sources.end()) {
      partitions.push_back({topic, PartitionIndex(0)});
    }
  }
  return partitions;
}

Task<Status> check_stage(std::shared_ptr<client::Cluster> cluster, const Stage& stage,
                         const protocol::PipelineDefinition::Stage& before, Offset receipts_start,
                         const StageOptions& options) {
  const MonotonicTime deadline = cluster->scheduler().now() + options.call_timeout;
  client::Admin admin(cluster);
  auto positions =
      co_await admin.committed(stage.group_id, first_partitions(stage, before), deadline);
  CO_RETURN_IF_ERROR(positions);
  std::erase_if(*positions, [](const client::CommittedOffset& position) {
    return position.offset != kNoOffset;
  });
  if (positions->empty()) {
    co_return Status{};
  }
  const auto receipts = co_await find_newest_inputs(cluster, options, stage.id);
  CO_RETURN_IF_ERROR(receipts);
  for (const client::CommittedOffset& position : *positions) {
    if (!receipts->contains(position.partition)) {
      co_return has_run_before(
          fmt::format("topic {} was emptied (offsets 0..{} were deleted), and neither a receipt in "
                      "it nor group '{}' says where stage {} was in {}-{}",
                      options.receipts_topic, receipts_start.value - 1, stage.group_id, stage.id,
                      position.partition.topic, position.partition.partition.value),
          options);
    }
  }
  co_return Status{};
}

/// Whether it has committed a position past the beginning of a topic that it reads.
Task<Result<bool>> has_read(std::shared_ptr<client::Cluster> cluster,
                            protocol::PipelineDefinition::Stage stage, MonotonicTime deadline) {
  std::vector<TopicPartition> partitions;
  for (const std::string& source : stage.sources) {
    const auto topic = co_await cluster->existing_topic(source, deadline);
    if (!topic && topic.error().code != ErrorCode::kNotFound) {
      co_return std::unexpected(topic.error());
    }
    for (std::int32_t index = 0; topic && index < topic->partition_count(); ++index) {
      partitions.push_back({source, PartitionIndex(index)});
    }
  }
  client::Admin admin(cluster);
  const auto positions = co_await admin.committed(stage.group_id, partitions, deadline);
  CO_RETURN_IF_ERROR(positions);
  const auto starts =
      co_await admin.list_offsets(std::move(partitions), client::Admin::kEarliest,
                                  client::IsolationLevel::kReadUncommitted, deadline);
  CO_RETURN_IF_ERROR(starts);
  co_return std::ranges::any_of(*positions, [&](const client::CommittedOffset& position) {
    const auto start =
        std::ranges::find(*starts, position.partition, &client::ListedOffset::partition);
    return position.offset != kNoOffset && start != starts->end() &&
           position.offset > start->offset;
  });
}

}  // namespace

Task<Result<Offset>> deleted_up_to(std::shared_ptr<client::Cluster> cluster, std::string topic,
                                   MonotonicTime deadline) {
  const auto found = co_await cluster->existing_topic(topic, deadline);
  if (!found && found.error().code == ErrorCode::kNotFound) {
    co_return Offset(0);
  }
  CO_RETURN_IF_ERROR(found);
  client::Admin admin(cluster);
  std::vector<TopicPartition> partitions{{std::move(topic), PartitionIndex(0)}};
  const auto start =
      co_await admin.list_offsets(std::move(partitions), client::Admin::kEarliest,
                                  client::IsolationLevel::kReadUncommitted, deadline);
  CO_RETURN_IF_ERROR(start);
  co_return start->front().offset;
}

Task<Status> check_receipts_are_kept(std::shared_ptr<client::Cluster> cluster, const Plan& plan,
                                     const KnownDefinition& known, const StageOptions& options) {
  const auto start = co_await deleted_up_to(cluster, options.receipts_topic,
                                            cluster->scheduler().now() + options.call_timeout);
  CO_RETURN_IF_ERROR(start);
  if (*start == Offset(0)) {
    co_return Status{};
  }
  for (const Stage& stage : plan.stages) {
    const auto* before = known.current().find(stage.id);
    if (before != nullptr && !before->is_database()) {
      CO_RETURN_IF_ERROR(co_await check_stage(cluster, stage, *before, *start, options));
    }
  }
  co_return Status{};
}

Task<Status> check_nothing_was_emptied(std::shared_ptr<client::Cluster> cluster,
                                       std::string definitions_topic, const StageOptions& options) {
  for (const std::string& topic : {std::move(definitions_topic), options.receipts_topic}) {
    const auto start =
        co_await deleted_up_to(cluster, topic, cluster->scheduler().now() + options.call_timeout);
    CO_RETURN_IF_ERROR(start);
    if (*start > Offset(0)) {
      co_return has_run_before(
          fmt::format("topic {} was emptied (offsets 0..{} were deleted), and no definition and no "
                      "receipt is left",
                      topic, start->value - 1),
          options);
    }
  }
  co_return Status{};
}

Task<Status> tell_of_gone_outputs(std::shared_ptr<client::Cluster> cluster, const Plan& plan,
                                  const KnownDefinition& known, const StageOptions& options,
                                  const TellEvent& tell) {
  if (!known.is_known()) {
    co_return Status{};
  }
  const MonotonicTime deadline = cluster->scheduler().now() + options.call_timeout;
  for (const TopicSpec& spec : plan.topics) {
    const auto writer = std::ranges::find_if(
        known.current().stages, [&](const protocol::PipelineDefinition::Stage& stage) {
          return !stage.is_database() &&
                 std::ranges::find(stage.outputs, spec.name) != stage.outputs.end();
        });
    if (spec.is_internal || writer == known.current().stages.end()) {
      continue;
    }
    const auto topic = co_await cluster->existing_topic(spec.name, deadline);
    if (topic || topic.error().code != ErrorCode::kNotFound) {
      CO_RETURN_IF_ERROR(topic);
      continue;
    }
    const auto has_begun = co_await has_read(cluster, *writer, deadline);
    CO_RETURN_IF_ERROR(has_begun);
    if (*has_begun) {
      tell({.level = LogLevel::kWarn,
            .stage = writer->id,
            .event = "made anew",
            .text = fmt::format(
                "topic {0} is gone, to which the stage has written what came of all that it has "
                "read: a start makes it anew, and it begins empty; restore it before the start; "
                "or, to write all of it again: onceflow reset {1} --to-earliest --execute; "
                "onceflow audit {1} says what is missing",
                spec.name, options.file)});
    }
  }
  co_return Status{};
}

std::unexpected<Error> has_run_before(std::string_view what, const StageOptions& options) {
  return fail(ErrorCode::kRefused,
              fmt::format("{}, though pipeline '{}' has run before; the rule: it goes on where its "
                          "receipts say that it was, or all might be written again; the fix: "
                          "restore the topic, or begin anew on purpose: onceflow reset {} "
                          "--to-earliest --execute",
                          what, options.pipeline, options.file));
}

}  // namespace onceflow::engine
