// What OffsetCommit and TxnOffsetCommit share: partitions that exist, and are given once, go to the
// coordinator, the others get their error here. Stateless.
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
  /// Of each partition of the request, in its order: kNone for those in `offsets`.
  std::vector<protocol::ErrorCode> errors;
};

template <typename RequestTopic>
KnownOffsets known_offsets(const BrokerCore& core, const std::vector<RequestTopic>& topics) {
  KnownOffsets known;
  for (const RequestTopic& topic : topics) {
    for (const auto& partition : topic.partitions) {
      using enum protocol::ErrorCode;
      const auto id = identify(core, topic.name, partition.partition_index);
      known.errors.push_back(partition.is_repeated ? kInvalidRequest
                             : id                  ? kNone
                                                   : kUnknownTopicOrPartition);
      if (known.errors.back() == kNone) {
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
      const protocol::ErrorCode error = known.errors[asked++];
      if (error != protocol::ErrorCode::kNone) {
        partition_response.error_code = error;
      } else if (answered < committed.partition_errors.size()) {
        partition_response.error_code = committed.partition_errors[answered++];
      } else {
        partition_response.error_code = committed.error;
      }
    }
  }
}

}  // namespace onceflow::broker
