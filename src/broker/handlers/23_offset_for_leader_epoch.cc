// OffsetForLeaderEpoch: there is one epoch, 0, and it ends at the high watermark. Stateless; on the
// broker's thread.
#include "broker/handlers/handlers.h"

namespace onceflow::broker {

protocol::OffsetForLeaderEpochResponse handle_offset_for_leader_epoch(
    BrokerCore& core, const Request&, const protocol::OffsetForLeaderEpochRequest& body) {
  protocol::OffsetForLeaderEpochResponse response;
  for (const auto& topic : body.topics) {
    auto& answered = response.topics.emplace_back();
    answered.topic = topic.topic;
    for (const auto& asked : topic.partitions) {
      auto& partition = answered.partitions.emplace_back();
      partition.partition = asked.partition;
      const log::Partition* const found =
          core.log.topics().find(topic.topic, PartitionIndex(asked.partition));
      if (found == nullptr) {
        partition.error_code = protocol::ErrorCode::kUnknownTopicOrPartition;
      } else if (asked.current_leader_epoch > 0) {
        partition.error_code = protocol::ErrorCode::kUnknownLeaderEpoch;
      } else if (asked.leader_epoch == 0) {
        partition.leader_epoch = 0;
        partition.end_offset = found->high_watermark().value;
      }
    }
  }
  return response;
}

}  // namespace onceflow::broker
