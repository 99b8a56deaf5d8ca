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
  std::string metadata;
  WallTime committed_at;
  std::uint64_t write_number = 0;
};

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
  bool is_pending(const TopicIdPartition& partition) const;
  const ByPartition& committed() const { return committed_; }
  const std::map<ProducerId, ByPartition>& pending() const { return pending_; }
  bool empty() const { return committed_.empty() && pending_.empty(); }

  void encode(WireWriter& writer) const;
  void decode(WireReader& reader);

 private:
  void write(ByPartition& destination, std::span<const OffsetToCommit> offsets, WallTime now);
  void forget_if_empty();

  ByPartition committed_;
  std::map<ProducerId, ByPartition> pending_;
  std::uint64_t next_write_number_ = 1;
};

}  // namespace onceflow::coordinator
