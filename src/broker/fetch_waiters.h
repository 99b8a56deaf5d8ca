// FetchWaiters: fetches that wait for data, until there is enough of it or their time is up (long
// polls). Owned by BrokerCore, on the broker's thread.
//
// Bounded work: a partition that advances looks at those of its waiters alone whose wait could be
// over by it, and at no other partition of theirs. Each waiter keeps count of what it could read,
// and allows every partition a share of what is missing; a partition that has grown by its share
// is counted again, and all are when what is missing has come near the sum of the shares. So a
// fetch of n partitions costs n log(min_bytes) in all, however often they advance, and is never
// answered late for it. Those woken are answered in slices of time.
//
// A waiter that is ready is in no queue, so a topic may go meanwhile: its partitions are looked up
// again when it is answered. Their number is bounded by requests in flight, their memory by the
// memory budget.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "broker/request.h"
#include "io/scheduler.h"
#include "log/partition.h"
#include "protocol/messages/01_fetch.h"

namespace onceflow::broker {

struct ParkedFetch {
  ReplySlot slot;
  std::int16_t api_version = 0;
  std::int32_t correlation_id = 0;
  protocol::FetchRequest request;
};

/// Where a fetch reads.
struct FetchPlace {
  const log::Partition* partition = nullptr;
  Offset from;

  /// The fetch has an error to tell.
  bool is_out_of_range() const {
    return from < partition->log_start_offset() || from > partition->high_watermark();
  }
  /// What counts for min_bytes.
  std::size_t readable_bytes(log::IsolationLevel isolation) const;
};

class FetchWaiters {
 public:
  /// `answer` is called once for each parked fetch, in a turn of the loop of its own; and again by
  /// on_turn() for one that it put off, for want of memory or of a turn: then it returns false.
  FetchWaiters(io::Scheduler& scheduler, std::function<bool(ParkedFetch&)> answer);
  ~FetchWaiters();
  FetchWaiters(const FetchWaiters&) = delete;
  FetchWaiters& operator=(const FetchWaiters&) = delete;

  /// At none of `places` is anything out of range, and together they have less than its min_bytes.
  void park(ParkedFetch fetch, std::span<const FetchPlace> places, log::IsolationLevel isolation,
            Duration wait_max);

  /// Something can be read here now.
  void on_advanced(const log::Partition& partition);
  /// The partition is about to go: those that wait for it hear so.
  void on_removed(const log::Partition& partition);
  /// Its fetches are dropped without an answer.
  void on_connection_closed(ConnectionNumber connection);
  /// There may be memory for an answer that was put off, or its turn has come.
  void on_turn(ConnectionNumber connection);

  std::size_t size() const { return waiters_.size() + put_off_.size(); }

 private:
  using WaiterNumber = std::uint64_t;
  struct Entry;
  using Queue = std::multimap<std::int64_t, Entry*>;
  struct Waiter;

  /// The waiters of one partition.
  struct Watched {
    enum QueueName : std::uint8_t {
      kHiddenUncommitted,  ///< nothing can be read; by the offset that has to become visible
      kHiddenCommitted,
      kGrowing,  ///< by the size that the partition has to reach
    };
    std::array<Queue, 3> queues;
    std::uint64_t size_bytes = 0;  ///< when it was looked at last
    bool empty() const;
  };

  /// One partition of one waiter.
  struct Entry {
    Waiter* waiter = nullptr;
    FetchPlace at;
    std::int64_t readable_bytes = 0;
    Watched::QueueName queue = Watched::kGrowing;
    bool is_queued = false;
    Queue::iterator place;
  };

  struct Waiter {
    WaiterNumber number = 0;
    ParkedFetch fetch;
    log::IsolationLevel isolation = log::IsolationLevel::kReadUncommitted;
    std::vector<Entry> entries;  // in their places until it goes
    std::int64_t missing_bytes = 0;
    std::int64_t share_bytes = 0;
    io::TimerId timer = 0;
    bool is_ready = false;
  };

  void look(Entry& entry);
  bool count(Entry& entry);
  void queue(Entry& entry);
  void share_out(Waiter& waiter);
  static bool needs_new_shares(const Waiter& waiter);
  void unqueue(Entry& entry);
  void unqueue_all(Waiter& waiter);
  void make_ready(Waiter& waiter);
  void answer_ready();
  void answer(ParkedFetch fetch);
  /// Takes it out of every list.
  void forget(Waiter& waiter);

  io::Scheduler& scheduler_;
  std::function<bool(ParkedFetch&)> answer_;
  WaiterNumber last_number_ = 0;
  std::unordered_map<WaiterNumber, std::unique_ptr<Waiter>> waiters_;
  std::unordered_map<TopicIdPartition, Watched> by_partition_;
  std::set<std::pair<ConnectionNumber, WaiterNumber>> by_connection_;
  std::deque<WaiterNumber> ready_;
  bool is_posted_ = false;
  std::map<std::pair<ConnectionNumber, std::uint64_t>, ParkedFetch> put_off_;  // by slot
};

}  // namespace onceflow::broker
