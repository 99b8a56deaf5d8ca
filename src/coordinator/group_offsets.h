// GroupOffsets: the committed and the pending offsets of one consumer group. Pure; owned by its
// Group.
//
// An offset inside a transaction is pending, by producer id, until the end of the transaction makes
// it the committed one or drops it. Of a plain and a transactional commit to one partition the one
// written later wins (as in Kafka's log), so each write has a number that counts within the group.
//
// Offsets never expire, and are keyed by topic id: a topic that is re-created under its old name
// starts without them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "base/wire.h"
#include "coordinator/effects.h"

namespace onceflow::coordinator {

/// One partition of an OffsetCommit or TxnOffsetCommit.
struct OffsetToCommit {
  TopicIdPartition partition;
  Offset offset;
  std::int32_t leader_epoch = -1;
  std::string metadata;  ///< null on the wire is kept as ""
};

/// What is committed for one partition.
struct CommittedOffset {
  Offset offset;
  std::int32_t leader_epoch = -1;
  bool is_noted = false;  ///< of GroupOffsets
  std::string metadata;
  WallTime committed_at;
  std::uint64_t write_number = 0;
};

/// What one offset takes in memory, without its metadata.
inline constexpr std::size_t kOffsetBytes = 160;

class GroupOffsets {
 public:
  using ByPartition = std::map<TopicIdPartition, CommittedOffset>;

  void commit(std::span<const OffsetToCommit> offsets, WallTime now);
  void add_pending(ProducerId producer, std::span<const OffsetToCommit> offsets, WallTime now);
  /// Makes what is pending of `producer` the committed offsets, or drops it. Nothing if none is.
  void end_transaction(ProducerId producer, TransactionResult result);
  void remove_topic(const TopicId& topic);
  /// The committed offset; nothing if there is none.
  void remove(const TopicIdPartition& partition);

  const CommittedOffset* find(const TopicIdPartition& partition) const;
  bool is_pending(const TopicIdPartition& partition) const {
    return pending_counts_.contains(partition);
  }
  const ByPartition& committed() const { return committed_; }
  const std::map<ProducerId, ByPartition>& pending() const { return pending_; }
  /// From now on the partitions whose committed offset changes are noted; all that there are count
  /// as changed.
  void watch();
  bool has_changes() const { return !changed_.empty() || is_anew_; }
  struct Changes {
    bool is_anew = false;  ///< all that was taken before is void
    /// What is committed now; kNoOffset: nothing.
    std::vector<std::pair<TopicIdPartition, Offset>> offsets;
  };
  /// At most `count_max` of the changed ones.
  Changes take_changes(std::size_t count_max);

  /// What they take in memory, about: kOffsetBytes each, and the metadata.
  std::size_t size_bytes() const { return size_bytes_; }
  bool empty() const { return committed_.empty() && pending_.empty(); }

  void encode(WireWriter& writer) const;
  void decode(WireReader& reader);

 private:
  void write(ByPartition& destination, std::span<const OffsetToCommit> offsets, WallTime now);
  void count_pending(const ByPartition& offsets, int change);
  void forget_if_empty();
  void note(const TopicIdPartition& partition, CommittedOffset& committed);
  void note_removal(const TopicIdPartition& partition, const CommittedOffset& committed);
  void recount();

  ByPartition committed_;
  std::map<ProducerId, ByPartition> pending_;
  std::map<TopicIdPartition, std::size_t> pending_counts_;  // of producers; none is 0
  std::uint64_t next_write_number_ = 1;

  // A partition is among the changed once while it has an offset; if those without one come to more
  // than those with one, all is told anew.
  bool is_watched_ = false;
  bool is_anew_ = true;
  std::vector<TopicIdPartition> changed_;
  std::size_t size_bytes_ = 0;
};

}  // namespace onceflow::coordinator
