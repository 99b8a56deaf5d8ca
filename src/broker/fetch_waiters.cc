#include "broker/fetch_waiters.h"

#include <algorithm>
#include <utility>

#include "io/time_slice.h"
#include "protocol/record_batch.h"

namespace onceflow::broker {

namespace {
// No partition advances by less, so a share of this much sees every advance.
constexpr auto kLeastAdvanceBytes = static_cast<std::int64_t>(protocol::kBatchHeaderBytes);
// Of the loop, before others get their turn.
constexpr Duration kAnswerSlice = milliseconds(1);
}  // namespace

std::size_t FetchPlace::readable_bytes(log::IsolationLevel isolation) const {
  return from < partition->visible_end(isolation)
             ? std::max<std::size_t>(1, partition->readable_bytes(from, isolation))
             : 0;
}

bool FetchWaiters::Watched::empty() const {
  return std::ranges::all_of(queues, [](const Queue& queue) { return queue.empty(); });
}

FetchWaiters::FetchWaiters(io::Scheduler& scheduler, std::function<bool(ParkedFetch&)> answer)
    : scheduler_(scheduler), answer_(std::move(answer)) {}

FetchWaiters::~FetchWaiters() {
  for (const auto& [number, waiter] : waiters_) {
    scheduler_.cancel(waiter->timer);
  }
}

void FetchWaiters::park(ParkedFetch fetch, std::span<const FetchPlace> places,
                        log::IsolationLevel isolation, Duration wait_max) {
  const WaiterNumber number = ++last_number_;
  auto waiter = std::make_unique<Waiter>();
  waiter->number = number;
  waiter->fetch = std::move(fetch);
  waiter->isolation = isolation;
  waiter->missing_bytes = waiter->fetch.request.min_bytes;
  waiter->entries.reserve(places.size());
  for (const FetchPlace& at : places) {
    waiter->entries.push_back({.waiter = waiter.get(), .at = at, .place = {}});
  }
  waiter->timer =
      scheduler_.schedule_after(wait_max, [this, waiting = waiter.get()] { make_ready(*waiting); });
  by_connection_.emplace(waiter->fetch.slot.connection, number);
  Waiter& parked = *waiters_.emplace(number, std::move(waiter)).first->second;
  share_out(parked);
}

// --- Counting ---

/// Every advance of the partition in question comes here before anything else is asked of it.
void FetchWaiters::on_advanced(const log::Partition& partition) {
  const auto found = by_partition_.find(partition.id());
  if (found == by_partition_.end()) {
    return;
  }
  Watched& watched = found->second;
  std::vector<Entry*> due;
  const auto take = [&](Watched::QueueName name, std::int64_t below) {
    Queue& queue = watched.queues[name];
    for (auto place = queue.begin(); place != queue.end() && place->first < below; ++place) {
      due.push_back(place->second);
    }
  };
  take(Watched::kHiddenUncommitted,
       partition.visible_end(log::IsolationLevel::kReadUncommitted).value);
  take(Watched::kHiddenCommitted, partition.visible_end(log::IsolationLevel::kReadCommitted).value);
  // What has been removed from its front hides how much was added.
  const bool has_shrunk = partition.size_bytes() < watched.size_bytes;
  watched.size_bytes = partition.size_bytes();
  take(Watched::kGrowing, has_shrunk ? std::numeric_limits<std::int64_t>::max()
                                     : static_cast<std::int64_t>(partition.size_bytes()) + 1);
  for (Entry* const entry : due) {
    // One that is ready by another of these is in no queue any more.
    if (entry->is_queued) {
      look(*entry);
    }
  }
}

/// Its partition has grown by its share, or has something to read at last.
void FetchWaiters::look(Entry& entry) {
  Waiter& waiter = *entry.waiter;
  unqueue(entry);
  if (count(entry)) {
    make_ready(waiter);
  } else if (needs_new_shares(waiter)) {
    share_out(waiter);
  } else {
    queue(entry);
  }
}

/// True if the fetch may be answered.
bool FetchWaiters::count(Entry& entry) {
  Waiter& waiter = *entry.waiter;
  if (entry.at.is_out_of_range()) {
    return true;
  }
  const auto readable = static_cast<std::int64_t>(entry.at.readable_bytes(waiter.isolation));
  waiter.missing_bytes -= readable - std::exchange(entry.readable_bytes, readable);
  return waiter.missing_bytes <= 0;
}

/// What has not been counted yet may be all that is missing.
bool FetchWaiters::needs_new_shares(const Waiter& waiter) {
  return waiter.share_bytes > kLeastAdvanceBytes &&
         waiter.missing_bytes <
             waiter.share_bytes * static_cast<std::int64_t>(waiter.entries.size());
}

void FetchWaiters::share_out(Waiter& waiter) {
  for (Entry& entry : waiter.entries) {
    if (count(entry)) {
      make_ready(waiter);
      return;
    }
  }
  const auto entry_count = static_cast<std::int64_t>(waiter.entries.size());
  waiter.share_bytes = std::max(kLeastAdvanceBytes,
                                waiter.missing_bytes / std::max<std::int64_t>(1, 2 * entry_count));
  for (Entry& entry : waiter.entries) {
    unqueue(entry);
    queue(entry);
  }
}

void FetchWaiters::queue(Entry& entry) {
  const log::Partition& partition = *entry.at.partition;
  Watched& watched = by_partition_[partition.id()];
  std::int64_t key = entry.at.from.value;
  if (entry.readable_bytes > 0) {
    const auto size_bytes = static_cast<std::int64_t>(partition.size_bytes());
    watched.size_bytes = std::max(watched.size_bytes, partition.size_bytes());
    key = size_bytes +
          (entry.waiter->share_bytes > kLeastAdvanceBytes ? entry.waiter->share_bytes : 1);
    entry.queue = Watched::kGrowing;
  } else {
    entry.queue = entry.waiter->isolation == log::IsolationLevel::kReadCommitted
                      ? Watched::kHiddenCommitted
                      : Watched::kHiddenUncommitted;
  }
  entry.place = watched.queues[entry.queue].emplace(key, &entry);
  entry.is_queued = true;
}

void FetchWaiters::unqueue(Entry& entry) {
  if (!std::exchange(entry.is_queued, false)) {
    return;
  }
  const auto watched = by_partition_.find(entry.at.partition->id());
  watched->second.queues[entry.queue].erase(entry.place);
  if (watched->second.empty()) {
    by_partition_.erase(watched);
  }
}

void FetchWaiters::unqueue_all(Waiter& waiter) {
  for (Entry& entry : waiter.entries) {
    unqueue(entry);
  }
}

void FetchWaiters::on_removed(const log::Partition& partition) {
  auto found = by_partition_.find(partition.id());
  while (found != by_partition_.end()) {
    const auto has_waiter = std::ranges::find_if(found->second.queues,
                                                 [](const Queue& queue) { return !queue.empty(); });
    make_ready(*has_waiter->begin()->second->waiter);
    found = by_partition_.find(partition.id());
  }
}

// --- Answering ---

// Answered in a turn of its own, so that one answer holds what all partitions got by one sync.
void FetchWaiters::make_ready(Waiter& waiter) {
  if (std::exchange(waiter.is_ready, true)) {
    return;
  }
  unqueue_all(waiter);
  ready_.push_back(waiter.number);
  if (!std::exchange(is_posted_, true)) {
    scheduler_.post([this] { answer_ready(); });
  }
}

void FetchWaiters::answer_ready() {
  const io::TimeSlice slice(scheduler_, kAnswerSlice);
  // Those that become ready meanwhile come in a later turn.
  for (std::size_t left = ready_.size(); left > 0 && !slice.is_over(); --left) {
    const auto waiter = waiters_.find(ready_.front());
    ready_.pop_front();
    if (waiter != waiters_.end()) {
      ParkedFetch fetch = std::move(waiter->second->fetch);
      forget(*waiter->second);
      answer(std::move(fetch));
    }
  }
  is_posted_ = !ready_.empty();
  if (is_posted_) {
    scheduler_.post([this] { answer_ready(); });
  }
}

void FetchWaiters::answer(ParkedFetch fetch) {
  if (!answer_(fetch)) {
    put_off_.emplace(std::pair(fetch.slot.connection, fetch.slot.number), std::move(fetch));
  }
}

void FetchWaiters::on_turn(ConnectionNumber connection) {
  // The answers leave in the order of their slots: where one is put off, those after it are too.
  auto next = put_off_.lower_bound({connection, 0});
  while (next != put_off_.end() && next->first.first == connection && answer_(next->second)) {
    next = put_off_.erase(next);
  }
}

void FetchWaiters::on_connection_closed(ConnectionNumber connection) {
  put_off_.erase(put_off_.lower_bound({connection, 0}),
                 put_off_.lower_bound({ConnectionNumber(connection.value + 1), 0}));
  auto place = by_connection_.lower_bound({connection, 0});
  while (place != by_connection_.end() && place->first == connection) {
    forget(*waiters_.at((place++)->second));
  }
}

/// It is gone after this.
void FetchWaiters::forget(Waiter& waiter) {
  scheduler_.cancel(waiter.timer);
  unqueue_all(waiter);
  by_connection_.erase({waiter.fetch.slot.connection, waiter.number});
  waiters_.erase(WaiterNumber(waiter.number));
}

}  // namespace onceflow::broker
