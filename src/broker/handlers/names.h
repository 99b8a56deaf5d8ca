// Names and identities: requests speak of topics by name, the log and the coordinators by id.
// Stateless.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "broker/core.h"

namespace onceflow::broker {

/// Nullopt if there is no such topic or partition.
inline std::optional<TopicIdPartition> identify(const BrokerCore& core, std::string_view topic,
                                                std::int32_t partition) {
  const log::Partition* const found = core.log.topics().find(topic, PartitionIndex(partition));
  return found == nullptr ? std::nullopt : std::optional(found->id());
}

/// Empty if it is gone.
inline std::string name_of(const BrokerCore& core, const TopicId& id) {
  const log::Topic* const topic = core.log.topics().find(id);
  return topic == nullptr ? std::string() : topic->name;
}

/// Groups a run of partitions that is sorted by topic into the topics of a response: calls
/// `add(topic, partition)` with the response's topic and the index in `partitions`.
template <typename ResponseTopic, typename Partitions, typename PartitionOf, typename NameOf,
          typename Add>
void group_by_topic(std::vector<ResponseTopic>& topics, const Partitions& partitions,
                    PartitionOf partition_of, NameOf name_topic, Add add) {
  std::optional<TopicId> last;
  for (const auto& partition : partitions) {
    const TopicId& topic = partition_of(partition).topic_id;
    if (last != topic) {
      last = topic;
      name_topic(topics.emplace_back(), topic);
    }
    add(topics.back(), partition);
  }
}

}  // namespace onceflow::broker
