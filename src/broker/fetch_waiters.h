// FetchWaiters: fetches that wait for data, until there is enough of it or their time is up (long
// polls). Owned by BrokerCore, on the broker's thread.
//
// They know partitions by identity and look them up again when they are answered, so a topic may go
// meanwhile. Their number is bounded by requests in flight, their memory by the memory budget.
#pragma once

#include <cstdint>
#include <functional>
#include <unordered_map>
#include <vector>

#include "base/ids.h"
#include "broker/request.h"
#include "io/scheduler.h"
#include "protocol/messages/01_fetch.h"

namespace onceflow::broker {

struct ParkedFetch {
  ReplySlot slot;
  std::int16_t api_version = 0;
  std::int32_t correlation_id = 0;
  protocol::FetchRequest request;
};

class FetchWaiters {
 public:
  /// `answer` is called once for each parked fetch, in a turn of the loop of its own.
  FetchWaiters(io::Scheduler& scheduler, std::function<void(ParkedFetch&)> answer);
  ~FetchWaiters();
  FetchWaiters(const FetchWaiters&) = delete;
  FetchWaiters& operator=(const FetchWaiters&) = delete;

  void park(ParkedFetch fetch, std::vector<TopicIdPartition> partitions, Duration wait_max);

  /// Something can be read here now. `has_enough` says whether a fetch may be answered; the others
  /// go on waiting.
  void on_advanced(const TopicIdPartition& partition,
                   const std::function<bool(const ParkedFetch&)>& has_enough);
  /// The partition is gone: whoever waits on it hears so.
  void on_removed(const TopicIdPartition& partition);
  /// Its fetches are dropped without an answer.
  void on_connection_closed(ConnectionNumber connection);

  std::size_t size() const { return waiters_.size(); }

 private:
  using WaiterNumber = std::uint64_t;
  struct Waiter {
    ParkedFetch fetch;
    std::vector<TopicIdPartition> partitions;
    io::TimerId timer = 0;
    bool is_ready = false;
  };

  void make_ready(WaiterNumber number);
  void answer_ready();
  /// Takes it out of every list but waiters_.
  void forget(WaiterNumber number, const Waiter& waiter);

  io::Scheduler& scheduler_;
  std::function<void(ParkedFetch&)> answer_;
  WaiterNumber last_number_ = 0;
  std::unordered_map<WaiterNumber, Waiter> waiters_;
  std::unordered_map<TopicIdPartition, std::vector<WaiterNumber>> by_partition_;
  std::unordered_map<ConnectionNumber, std::vector<WaiterNumber>> by_connection_;
  std::vector<WaiterNumber> ready_;
};

}  // namespace onceflow::broker
