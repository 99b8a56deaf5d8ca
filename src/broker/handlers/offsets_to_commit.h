// What OffsetCommit and TxnOffsetCommit share: partitions that exist go to the coordinator, the
// others get their error here. Stateless.
#pragma once

#include <cstddef>
#include <vector>

#include "broker/core.h"
#include "broker/handlers/names.h"
#include "coordinator/group_coordinator.h"
#include "coordinator/group_offsets.h"
#include "protocol/error_code.h"

namespace onceflow::broker {

struct KnownOffsets {
  std::vector<coordinator::OffsetToCommit> offsets;
  std::vector<bool> is_known;  ///< of each partition of the request, in its order
  bool all_known() const { return offsets.size() == is_known.size(); }
};

template <typename RequestTopic>
KnownOffsets known_offsets(const BrokerCore& core, const std::vector<RequestTopic>& topics) {
  KnownOffsets known;
  for (const RequestTopic& topic : topics) {
    for (const auto& partition : topic.partitions) {
      const auto id = identify(core, topic.name, partition.partition_index);
      known.is_known.push_back(id.has_value());
      if (id) {
        known.offsets.push_back({.partition = *id,
                                 .offset = Offset(partition.committed_offset),
                                 .leader_epoch = partition.committed_leader_epoch,
                                 .metadata = partition.committed_metadata.value_or("")});
      }
    }
  }
  return known;
}

template <typename RequestTopic, typename ResponseTopic>
void answer_offsets(const std::vector<RequestTopic>& topics, const KnownOffsets& known,
                    const coordinator::OffsetCommitReply& committed,
                    std::vector<ResponseTopic>& response) {
  std::size_t asked = 0;
  std::size_t answered = 0;
  for (const RequestTopic& topic : topics) {
    auto& topic_response = response.emplace_back();
    topic_response.name = topic.name;
    for (const auto& partition : topic.partitions) {
      auto& partition_response = topic_response.partitions.emplace_back();
      partition_response.partition_index = partition.partition_index;
      if (!known.is_known[asked++]) {
        partition_response.error_code = protocol::ErrorCode::kUnknownTopicOrPartition;
      } else if (answered < committed.partition_errors.size()) {
        partition_response.error_code = committed.partition_errors[answered++];
      } else {
        partition_response.error_code = committed.error;
      }
    }
  }
}

}  // namespace onceflow::broker
