#include "broker/fetch_waiters.h"

#include <utility>

namespace onceflow::broker {

FetchWaiters::FetchWaiters(io::Scheduler& scheduler, std::function<void(ParkedFetch&)> answer)
    : scheduler_(scheduler), answer_(std::move(answer)) {}

FetchWaiters::~FetchWaiters() {
  for (const auto& [number, waiter] : waiters_) {
    scheduler_.cancel(waiter.timer);
  }
}

void FetchWaiters::park(ParkedFetch fetch, std::vector<TopicIdPartition> partitions,
                        Duration wait_max) {
  const WaiterNumber number = ++last_number_;
  for (const TopicIdPartition& partition : partitions) {
    by_partition_[partition].push_back(number);
  }
  by_connection_[fetch.slot.connection].push_back(number);
  const io::TimerId timer =
      scheduler_.schedule_after(wait_max, [this, number] { make_ready(number); });
  waiters_.emplace(
      number,
      Waiter{.fetch = std::move(fetch), .partitions = std::move(partitions), .timer = timer});
}

void FetchWaiters::on_advanced(const TopicIdPartition& partition,
                               const std::function<bool(const ParkedFetch&)>& has_enough) {
  const auto found = by_partition_.find(partition);
  if (found == by_partition_.end()) {
    return;
  }
  for (const WaiterNumber number : found->second) {
    const Waiter& waiter = waiters_.at(number);
    if (!waiter.is_ready && has_enough(waiter.fetch)) {
      make_ready(number);
    }
  }
}

void FetchWaiters::on_removed(const TopicIdPartition& partition) {
  const auto found = by_partition_.find(partition);
  if (found != by_partition_.end()) {
    for (const WaiterNumber number : found->second) {
      make_ready(number);
    }
  }
}

// Answered in a turn of its own, so that one answer holds what all partitions got by one sync.
void FetchWaiters::make_ready(WaiterNumber number) {
  Waiter& waiter = waiters_.at(number);
  if (std::exchange(waiter.is_ready, true)) {
    return;
  }
  if (ready_.empty()) {
    scheduler_.post([this] { answer_ready(); });
  }
  ready_.push_back(number);
}

void FetchWaiters::answer_ready() {
  for (const WaiterNumber number : std::exchange(ready_, {})) {
    auto waiter = waiters_.extract(number);
    if (!waiter.empty()) {
      forget(number, waiter.mapped());
      answer_(waiter.mapped().fetch);
    }
  }
}

void FetchWaiters::on_connection_closed(ConnectionNumber connection) {
  const auto found = by_connection_.find(connection);
  if (found == by_connection_.end()) {
    return;
  }
  const std::vector<WaiterNumber> numbers = found->second;
  for (const WaiterNumber number : numbers) {
    auto waiter = waiters_.extract(number);
    forget(number, waiter.mapped());
  }
}

void FetchWaiters::forget(WaiterNumber number, const Waiter& waiter) {
  scheduler_.cancel(waiter.timer);
  const auto of_connection = by_connection_.find(waiter.fetch.slot.connection);
  std::erase(of_connection->second, number);
  if (of_connection->second.empty()) {
    by_connection_.erase(of_connection);
  }
  for (const TopicIdPartition& partition : waiter.partitions) {
    const auto found = by_partition_.find(partition);
    if (found != by_partition_.end()) {
      std::erase(found->second, number);
      if (found->second.empty()) {
        by_partition_.erase(found);
      }
    }
  }
}

}  // namespace onceflow::broker
