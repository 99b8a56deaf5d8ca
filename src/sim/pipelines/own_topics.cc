#include "sim/pipelines/own_topics.h"

#include <algorithm>

#include "base/check.h"
#include "client/admin.h"
#include "pipeline/definition.h"
#include "protocol/messages/21_delete_records.h"
#include "protocol/messages/37_create_partitions.h"

namespace onceflow::sim {

namespace {

constexpr Duration kRetry = milliseconds(100);
constexpr Duration kCallMax = seconds(5);

}  // namespace

std::vector<OwnTopic> own_topics(const pipeline::PlannedPipeline& planned) {
  using Use = OwnTopic::Use;
  const engine::Plan& plan = planned.plan;
  std::vector<OwnTopic> topics = {{pipeline::definition_of(planned).topic(), Use::kDefinitions}};
  const auto use_of = [&](const engine::TopicSpec& spec) {
    if (spec.name == plan.receipts_topic) {
      return Use::kReceipts;
    }
    const bool is_changelog = std::ranges::any_of(plan.stages, [&](const engine::Stage& stage) {
      return stage.aggregate && stage.aggregate->changelog_topic == spec.name;
    });
    return is_changelog ? Use::kChangelog : spec.is_internal ? Use::kBetweenStages : Use::kResults;
  };
  for (const engine::TopicSpec& spec : plan.topics) {
    topics.push_back({spec.name, use_of(spec)});
  }
  return topics;
}

std::string describe(const OwnTopic& topic) {
  constexpr std::string_view kUses[] = {"definitions", "receipts", "changelog", "between stages",
                                        "results"};
  return topic.name + " (" + std::string(kUses[static_cast<std::size_t>(topic.use)]) + ")";
}

Task<void> empty_topic(std::shared_ptr<client::Cluster> cluster, std::string topic,
                       MonotonicTime deadline) {
  client::Admin admin(cluster);
  const client::Channel channel = cluster->new_channel();
  const auto there = co_await cluster->existing_topic(topic, deadline);
  if (!there) {
    co_return;
  }
  std::vector<TopicPartition> partitions;
  partitions.reserve(static_cast<std::size_t>(there->partition_count()));
  for (std::int32_t index = 0; index < there->partition_count(); ++index) {
    partitions.push_back({topic, PartitionIndex(index)});
  }
  const auto ends = co_await admin.list_offsets(std::move(partitions), client::Admin::kLatest,
                                                client::IsolationLevel::kReadUncommitted, deadline);
  const auto connection = co_await cluster->any_connection(channel, deadline);
  CHECK(ends.has_value() && connection.has_value());
  protocol::DeleteRecordsRequest request{.timeout_ms = 5000};
  auto& named = request.topics.emplace_back();
  named.name = topic;
  for (const client::ListedOffset& end : *ends) {
    named.partitions.push_back(
        {.partition_index = end.partition.partition.value, .offset = end.offset.value});
  }
  CHECK((co_await (*connection)->send(std::move(request), deadline)).has_value());
}

Task<void> grow_topic(std::shared_ptr<client::Cluster> cluster, std::string topic,
                      std::int32_t partition_count, MonotonicTime deadline) {
  const client::Channel channel = cluster->new_channel();
  while (cluster->scheduler().now() < deadline) {
    const MonotonicTime call_deadline = cluster->scheduler().now() + kCallMax;
    const auto connection = co_await cluster->any_connection(channel, call_deadline);
    if (connection) {
      protocol::CreatePartitionsRequest request{.timeout_ms = 5000};
      request.topics.push_back({.name = topic, .count = partition_count});
      static_cast<void>(co_await (*connection)->send(std::move(request), call_deadline));
    }
    cluster->forget_topic(topic);
    const auto there = co_await cluster->topic(topic, call_deadline);
    if (there && there->partition_count() == partition_count) {
      break;
    }
    co_await cluster->scheduler().sleep_for(kRetry);
  }
}

}  // namespace onceflow::sim
