// ConsumerGroup: a member of a classic consumer group (range assignment, eager rebalance).
// Heartbeats go their own way, whatever the owner is busy with.
//
// Owned by the worker that reads; runs on the cluster's scheduler.
//
// What happens to the member comes as events, in order, and the owner awaits them:
//   kAssigned   these partitions are the member's now, in this generation; empty: it has none.
//   kRevoked    a rebalance has begun: finish or abort the transaction, then call give_up().
//               Until then the member still is of the old generation and its commits count.
//   kLost       the member was thrown out (or fenced): its partitions may be another's by now.
//               Abort; commits would be refused. The member joins again by itself; no answer is
//               expected.
//   kFenced     another member has this group.instance.id: the object is finished.
// What ends the member for good is failure(); what keeps it out for now, while it tries on, is
// trouble().
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/callback.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/task.h"
#include "client/cluster.h"
#include "client/committed_offsets.h"
#include "client/group_metadata.h"
#include "client/options.h"

namespace onceflow::client {

struct GroupEvent {
  enum class Kind { kAssigned, kRevoked, kLost, kFenced };
  Kind kind = Kind::kAssigned;
  std::vector<TopicPartition> partitions;
  /// Of the generation that the event speaks of. Offsets are committed with the metadata of the
  /// assignment under which they were read, so that a rebalance unnoticed by the owner refuses
  /// them.
  GroupMetadata metadata;
};

class ConsumerGroup {
 public:
  ConsumerGroup(std::shared_ptr<Cluster> cluster, GroupOptions options,
                std::vector<std::string> topics);
  /// As close().
  ~ConsumerGroup();
  ConsumerGroup(ConsumerGroup&&) noexcept;
  ConsumerGroup& operator=(ConsumerGroup&&) noexcept;

  /// Begins to join. Once.
  void start();

  /// The oldest event not yet taken; waits for one. kTimedOut, kCancelled, kRefused (the group or
  /// its coordinator will not have this member; the text says why).
  Task<Result<GroupEvent>> next_event(MonotonicTime deadline);
  /// The same without waiting.
  std::optional<GroupEvent> take_event();
  bool has_event() const;
  /// Why there will be no more events; null while there may be. After the last event has been
  /// taken, next_event() answers it.
  const Error* failure() const;
  /// Why the group does not hear or does not take this member, while it goes on trying; null: all
  /// is well, as far as is known.
  struct Trouble {
    Error error;
    MonotonicTime since;
    bool is_held_by_others = false;  ///< see group_refusal.h
  };
  const Trouble* trouble() const;
  /// Called on the scheduler whenever an event was added, or failure() or trouble() has changed; to
  /// wake a poll.
  void on_event(Callback<void()> callback);

  /// After kRevoked: the partitions are free for others.
  void give_up();

  /// As of now, whatever the owner has taken note of. For status; see GroupEvent::metadata.
  GroupMetadata metadata() const;
  const std::vector<TopicPartition>& assignment() const;

  /// Committed offsets, with require_stable: waits out pending transactional offsets (88), so what
  /// it answers is decided. In the order of `partitions`.
  Task<Result<std::vector<CommittedOffset>>> committed(std::vector<TopicPartition> partitions,
                                                       MonotonicTime deadline);
  /// Outside of transactions. kFenced: this generation has passed.
  Task<Status> commit(GroupMetadata metadata, std::vector<OffsetToCommit> offsets,
                      MonotonicTime deadline);

  /// Says goodbye, as a static member too, so that the others share its partitions at once, and
  /// stops.
  Task<void> leave(MonotonicTime deadline);
  /// Stops without a word; the group notices after session.timeout.ms. A static member that is back
  /// by then has its partitions again, without a rebalance.
  void close();

 private:
  class Core;
  std::shared_ptr<Core> core_;  ///< shared with its own background coroutines
};

}  // namespace onceflow::client
