// ListTransactions (KIP-664). Stateless; on the broker's thread.
#include <algorithm>
#include <array>

#include "broker/handlers/handlers.h"

namespace onceflow::broker {
namespace {

using coordinator::TransactionState;

constexpr std::array kStates = {TransactionState::kEmpty, TransactionState::kOngoing,
                                TransactionState::kCompleteCommit,
                                TransactionState::kCompleteAbort};
// States of Kafka's that a transaction never is in here: known, and matched by nothing.
constexpr std::array<std::string_view, 4> kStatesOfKafka = {"PrepareCommit", "PrepareAbort", "Dead",
                                                            "PrepareEpochFence"};

}  // namespace

protocol::ListTransactionsResponse handle_list_transactions(
    BrokerCore& core, const Request&, const protocol::ListTransactionsRequest& body) {
  protocol::ListTransactionsResponse response;
  coordinator::TransactionFilter filter;
  for (const std::string& word : body.state_filters) {
    const auto* const state = std::ranges::find(
        kStates, word, [](TransactionState known) { return coordinator::to_string(known); });
    if (state != kStates.end()) {
      filter.states.push_back(*state);
    } else if (std::ranges::find(kStatesOfKafka, word) == kStatesOfKafka.end()) {
      response.unknown_state_filters.push_back(word);
    }
  }
  if (!body.state_filters.empty() && filter.states.empty()) {
    return response;
  }
  for (const std::int64_t producer_id : body.producer_id_filters) {
    filter.producer_ids.emplace_back(producer_id);
  }
  if (body.duration_filter >= 0) {
    filter.running_longer_than = milliseconds(body.duration_filter);
  }
  for (const auto& transaction : core.coordinator.transactions().list(filter, core.moment())) {
    response.transaction_states.push_back(
        {.transactional_id = transaction.transactional_id,
         .producer_id = transaction.producer.id.value,
         .transaction_state = std::string(coordinator::to_string(transaction.state))});
  }
  return response;
}

}  // namespace onceflow::broker
