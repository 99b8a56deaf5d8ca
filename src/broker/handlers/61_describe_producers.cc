// DescribeProducers: who writes to a partition, and where its open transaction began (KIP-664).
// Stateless; on the broker's thread.
#include "broker/handlers/handlers.h"

namespace onceflow::broker {

protocol::DescribeProducersResponse handle_describe_producers(
    BrokerCore& core, const Request&, const protocol::DescribeProducersRequest& body) {
  protocol::DescribeProducersResponse response;
  for (const auto& topic : body.topics) {
    auto& answered = response.topics.emplace_back();
    answered.name = topic.name;
    answered.partitions.reserve(topic.partition_indexes.size());
    for (const std::int32_t index : topic.partition_indexes) {
      auto& partition = answered.partitions.emplace_back();
      partition.partition_index = index;
      const log::Partition* const found = core.log.topics().find(topic.name, PartitionIndex(index));
      if (found == nullptr) {
        partition.error_code = protocol::ErrorCode::kUnknownTopicOrPartition;
        continue;
      }
      partition.active_producers.reserve(found->producers().size());
      for (const auto& [producer_id, state] : found->producers().sorted()) {
        partition.active_producers.push_back(
            {.producer_id = producer_id.value,
             .producer_epoch = state->epoch.value,
             .last_sequence = state->last_sequence().value,
             .last_timestamp = state->last_timestamp,
             .coordinator_epoch = state->coordinator_epoch,
             .current_txn_start_offset = state->transaction_first_offset.value});
      }
    }
  }
  return response;
}

}  // namespace onceflow::broker
