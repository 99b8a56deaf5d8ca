// What TransactionCoordinator tells of its transactions; it changes nothing.
#include <algorithm>

#include "coordinator/transaction_coordinator.h"

namespace onceflow::coordinator {
namespace {

std::int64_t age_ms(WallTime started_at, const Moment& moment) {
  return moment.wall.ms - started_at.ms;
}

template <typename T>
bool passes(const std::vector<T>& allowed, const T& value) {
  return allowed.empty() || std::ranges::find(allowed, value) != allowed.end();
}

}  // namespace

std::string_view to_string(TransactionState state) {
  switch (state) {
    case TransactionState::kEmpty:
      return "Empty";
    case TransactionState::kOngoing:
      return "Ongoing";
    case TransactionState::kCompleteCommit:
      return "CompleteCommit";
    case TransactionState::kCompleteAbort:
      return "CompleteAbort";
  }
  return "Unknown";
}

TransactionDescription TransactionCoordinator::description(const Entry& entry) {
  const Transaction& transaction = entry.second;
  const bool is_ongoing = transaction.state == TransactionState::kOngoing;
  return {.transactional_id = entry.first,
          .state = transaction.state,
          .producer = transaction.producer,
          .timeout = transaction.timeout,
          .started_at = is_ongoing ? std::optional(transaction.started_at) : std::nullopt,
          .must_abort = transaction.must_abort || !transaction.doubts.empty(),
          .partitions = {transaction.partitions.begin(), transaction.partitions.end()},
          .groups = {transaction.groups.begin(), transaction.groups.end()}};
}

std::optional<TransactionDescription> TransactionCoordinator::describe(
    std::string_view transactional_id) const {
  const auto place = transactions_.find(transactional_id);
  return place == transactions_.end() ? std::nullopt : std::optional(description(*place));
}

std::vector<TransactionDescription> TransactionCoordinator::list(const TransactionFilter& filter,
                                                                 const Moment& moment) const {
  std::vector<TransactionDescription> listed;
  std::vector<ProducerId> producer_ids = filter.producer_ids;
  std::ranges::sort(producer_ids);
  for (const Entry& entry : transactions_) {
    const Transaction& transaction = entry.second;
    const bool is_named =
        producer_ids.empty() || std::ranges::binary_search(producer_ids, transaction.producer.id);
    if (!passes(filter.states, transaction.state) || !is_named) {
      continue;
    }
    if (filter.running_longer_than &&
        (transaction.state != TransactionState::kOngoing ||
         age_ms(transaction.started_at, moment) <= to_ms(*filter.running_longer_than))) {
      continue;
    }
    listed.push_back(description(entry));
  }
  return listed;
}

std::vector<OngoingTransaction> TransactionCoordinator::list_soonest(std::size_t count_max) const {
  std::vector<OngoingTransaction> listed;
  for (const auto& [deadline, producer] : deadlines_) {
    if (listed.size() == count_max) {
      break;
    }
    const auto& [transactional_id, transaction] = *by_producer_id_.at(producer);
    listed.push_back({.transactional_id = transactional_id,
                      .producer = transaction.producer,
                      .started_at = transaction.started_at,
                      .timeout = transaction.timeout,
                      .partition_count = transaction.partitions.size(),
                      .group_count = transaction.groups.size()});
  }
  return listed;
}

std::optional<std::string_view> TransactionCoordinator::find_by_producer_id(
    ProducerId producer_id) const {
  const auto place = by_producer_id_.find(producer_id);
  return place == by_producer_id_.end() ? std::nullopt
                                        : std::optional<std::string_view>(place->second->first);
}

}  // namespace onceflow::coordinator
