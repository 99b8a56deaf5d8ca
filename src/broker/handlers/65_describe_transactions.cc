// DescribeTransactions (KIP-664). Stateless; on the broker's thread.
#include "broker/handlers/handlers.h"
#include "broker/handlers/names.h"

namespace onceflow::broker {

protocol::DescribeTransactionsResponse handle_describe_transactions(
    BrokerCore& core, const Request&, const protocol::DescribeTransactionsRequest& body) {
  using Topic = protocol::DescribeTransactionsResponse::Topic;
  protocol::DescribeTransactionsResponse response;
  for (const std::string& id : body.transactional_ids) {
    auto& answered = response.transaction_states.emplace_back();
    answered.transactional_id = id;
    const auto found = core.coordinator.transactions().describe(id);
    if (!found) {
      answered.error_code = protocol::ErrorCode::kTransactionalIdNotFound;
      continue;
    }
    answered.transaction_state = std::string(coordinator::to_string(found->state));
    answered.transaction_timeout_ms = static_cast<std::int32_t>(to_ms(found->timeout));
    answered.transaction_start_time_ms = found->started_at ? found->started_at->ms : -1;
    answered.producer_id = found->producer.id.value;
    answered.producer_epoch = found->producer.epoch.value;
    group_by_topic(
        answered.topics, found->partitions,
        [](const TopicIdPartition& partition) -> const TopicIdPartition& { return partition; },
        [&](Topic& topic, const TopicId& topic_id) { topic.topic = name_of(core, topic_id); },
        [](Topic& topic, const TopicIdPartition& partition) {
          topic.partitions.push_back(partition.partition.value);
        });
  }
  return response;
}

}  // namespace onceflow::broker
