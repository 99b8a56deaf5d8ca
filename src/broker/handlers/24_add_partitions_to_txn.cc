// AddPartitionsToTxn: all or none of the partitions of a transaction. Stateless; on the broker's
// thread.
#include "broker/handlers/handlers.h"
#include "broker/handlers/names.h"

namespace onceflow::broker {
namespace {

using coordinator::ConnectionVerdict;
using protocol::ErrorCode;
using Topics = std::vector<protocol::AddPartitionsToTxnRequest::Topic>;
using TopicResults = std::vector<protocol::AddPartitionsToTxnResponse::Topic>;

constexpr std::int16_t kFirstVersionWithMany = 4;

// Calls error_of(topic, partition) for each partition and answers with what it returns.
template <typename ErrorOf>
TopicResults answer_each(const Topics& topics, ErrorOf error_of) {
  TopicResults results;
  for (const auto& topic : topics) {
    auto& answered = results.emplace_back();
    answered.name = topic.name;
    for (const std::int32_t partition : topic.partitions) {
      answered.results_by_partition.push_back(
          {.partition_index = partition, .partition_error_code = error_of(topic.name, partition)});
    }
  }
  return results;
}

// Nullopt: the connection is to be closed.
std::optional<TopicResults> add(BrokerCore& core, const Request& request,
                                const coordinator::TransactionKey& key, const Topics& topics) {
  std::vector<TopicIdPartition> partitions;
  bool all_exist = true;
  for (const auto& topic : topics) {
    for (const std::int32_t partition : topic.partitions) {
      const auto id = identify(core, topic.name, partition);
      all_exist = all_exist && id;
      if (id) {
        partitions.push_back(*id);
      }
    }
  }
  if (!all_exist) {
    return answer_each(topics, [&](const std::string& topic, std::int32_t partition) {
      return identify(core, topic, partition) ? ErrorCode::kOperationNotAttempted
                                              : ErrorCode::kUnknownTopicOrPartition;
    });
  }
  const coordinator::TransactionReply added = core.changing([&] {
    const auto reply = core.coordinator.transactions().add_partitions(
        key, partitions, core.caller(request), core.effects);
    core.settle();
    return reply;
  });
  if (added.verdict == ConnectionVerdict::kClose) {
    return std::nullopt;
  }
  return answer_each(topics, [&](const std::string&, std::int32_t) { return added.error; });
}

TopicResults verify(const BrokerCore& core, const coordinator::TransactionKey& key,
                    const Topics& topics) {
  return answer_each(topics, [&](const std::string& topic, std::int32_t partition) {
    const auto id = identify(core, topic, partition);
    return id ? core.coordinator.transactions().verify_partition(key, *id)
              : ErrorCode::kUnknownTopicOrPartition;
  });
}

}  // namespace

std::optional<protocol::AddPartitionsToTxnResponse> handle_add_partitions_to_txn(
    BrokerCore& core, const Request& request, const protocol::AddPartitionsToTxnRequest& body) {
  protocol::AddPartitionsToTxnResponse response;
  if (request.header.api_version < kFirstVersionWithMany) {
    auto results = add(core, request,
                       {.transactional_id = body.v3_and_below_transactional_id,
                        .producer = {ProducerId(body.v3_and_below_producer_id),
                                     ProducerEpoch(body.v3_and_below_producer_epoch)}},
                       body.v3_and_below_topics);
    if (!results) {
      return std::nullopt;
    }
    response.results_by_topic_v3_and_below = std::move(*results);
    return response;
  }
  for (const auto& transaction : body.transactions) {
    const coordinator::TransactionKey key{.transactional_id = transaction.transactional_id,
                                          .producer = {ProducerId(transaction.producer_id),
                                                       ProducerEpoch(transaction.producer_epoch)}};
    auto results = transaction.is_repeated   ? answer_each(transaction.topics,
                                                           [](const std::string&, std::int32_t) {
                                                           return ErrorCode::kInvalidRequest;
                                                         })
                   : transaction.verify_only ? verify(core, key, transaction.topics)
                                             : add(core, request, key, transaction.topics);
    if (!results) {
      return std::nullopt;
    }
    response.results_by_transaction.push_back(
        {.transactional_id = transaction.transactional_id, .topic_results = std::move(*results)});
  }
  return response;
}

}  // namespace onceflow::broker
