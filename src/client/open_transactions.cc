#include "client/open_transactions.h"

#include <fmt/format.h>

#include "client/broker_error.h"
#include "protocol/messages/61_describe_producers.h"
#include "protocol/messages/65_describe_transactions.h"
#include "protocol/messages/66_list_transactions.h"

namespace onceflow::client {
namespace {

Task<Result<std::optional<OpenTransaction>>> ask_leader(std::shared_ptr<Cluster> cluster,
                                                        Channel channel, TopicPartition partition,
                                                        MonotonicTime deadline) {
  const auto leader = co_await cluster->leader(partition, deadline);
  CO_RETURN_IF_ERROR(leader);
  const auto connection = co_await cluster->connection(channel, *leader, deadline);
  CO_RETURN_IF_ERROR(connection);
  protocol::DescribeProducersRequest request;
  request.topics.push_back({partition.topic, {partition.partition.value}});
  const auto reply =
      co_await (*connection)->send(std::move(request), cluster->request_deadline(deadline));
  CO_RETURN_IF_ERROR(reply);
  std::optional<OpenTransaction> oldest;
  for (const auto& topic : reply->body.topics) {
    for (const auto& answer : topic.partitions) {
      if (answer.error_code != protocol::ErrorCode::kNone) {
        co_return std::unexpected(broker_error(answer.error_code, "DescribeProducers"));
      }
      for (const auto& producer : answer.active_producers) {
        const Offset first(producer.current_txn_start_offset);
        if (first.value >= 0 && (!oldest || first < oldest->first_offset)) {
          oldest = OpenTransaction{.first_offset = first,
                                   .producer_id = producer.producer_id,
                                   .producer_epoch = producer.producer_epoch,
                                   .transactional_id = {},
                                   .started_at_ms = {},
                                   .timeout_ms = {}};
        }
      }
    }
  }
  co_return oldest;
}

// A broker lists what it coordinates itself; which one that is, nobody says.
Task<Status> find_transactional_id(std::shared_ptr<Cluster> cluster, Channel channel,
                                   OpenTransaction& open, MonotonicTime deadline) {
  for (const NodeId node : cluster->nodes()) {
    const auto connection = co_await cluster->connection(channel, node, deadline);
    CO_RETURN_IF_ERROR(connection);
    protocol::ListTransactionsRequest request;
    request.producer_id_filters = {open.producer_id};
    const auto reply =
        co_await (*connection)->send(std::move(request), cluster->request_deadline(deadline));
    CO_RETURN_IF_ERROR(reply);
    if (reply->body.error_code != protocol::ErrorCode::kNone) {
      co_return std::unexpected(broker_error(reply->body.error_code, "ListTransactions"));
    }
    for (const auto& listed : reply->body.transaction_states) {
      if (listed.producer_id == open.producer_id) {
        open.transactional_id = listed.transactional_id;
        co_return Status{};
      }
    }
  }
  co_return Status{};
}

using TransactionStates = decltype(protocol::DescribeTransactionsResponse::transaction_states);

Task<Result<TransactionStates>> describe(std::shared_ptr<Cluster> cluster, Channel channel,
                                         std::string transactional_id, MonotonicTime deadline) {
  const auto node =
      co_await cluster->coordinator(CoordinatorType::kTransaction, transactional_id, deadline);
  CO_RETURN_IF_ERROR(node);
  const auto connection = co_await cluster->connection(channel, *node, deadline);
  CO_RETURN_IF_ERROR(connection);
  protocol::DescribeTransactionsRequest request;
  request.transactional_ids = {std::move(transactional_id)};
  const auto reply =
      co_await (*connection)->send(std::move(request), cluster->request_deadline(deadline));
  CO_RETURN_IF_ERROR(reply);
  co_return reply->body.transaction_states;
}

Task<Status> ask_coordinator(std::shared_ptr<Cluster> cluster, Channel channel,
                             OpenTransaction& open, MonotonicTime deadline) {
  const auto states = co_await describe(cluster, channel, open.transactional_id, deadline);
  CO_RETURN_IF_ERROR(states);
  for (const auto& state : *states) {
    if (state.error_code == protocol::ErrorCode::kNone && state.producer_id == open.producer_id) {
      open.timeout_ms = state.transaction_timeout_ms;
      if (state.transaction_start_time_ms >= 0) {
        open.started_at_ms = state.transaction_start_time_ms;
      }
    }
  }
  co_return Status{};
}

}  // namespace

Task<Result<std::optional<OpenTransaction>>> find_open_transaction(std::shared_ptr<Cluster> cluster,
                                                                   Channel channel,
                                                                   TopicPartition partition,
                                                                   MonotonicTime deadline) {
  auto open = co_await ask_leader(cluster, channel, std::move(partition), deadline);
  if (!open || !*open) {
    co_return open;
  }
  // From here on more is better, and less is still an answer.
  if (co_await find_transactional_id(cluster, channel, **open, deadline) &&
      !(*open)->transactional_id.empty()) {
    co_await ask_coordinator(cluster, channel, **open, deadline);
  }
  co_return open;
}

Task<Result<bool>> has_open_transaction(std::shared_ptr<Cluster> cluster, Channel channel,
                                        std::string transactional_id, MonotonicTime deadline) {
  const auto states =
      co_await describe(std::move(cluster), channel, std::move(transactional_id), deadline);
  CO_RETURN_IF_ERROR(states);
  for (const auto& state : *states) {
    if (state.error_code == protocol::ErrorCode::kTransactionalIdNotFound) {
      continue;
    }
    if (state.error_code != protocol::ErrorCode::kNone) {
      co_return std::unexpected(broker_error(state.error_code, "DescribeTransactions"));
    }
    if (!state.transaction_state.starts_with("Complete") && state.transaction_state != "Empty") {
      co_return true;
    }
  }
  co_return false;
}

}  // namespace onceflow::client
