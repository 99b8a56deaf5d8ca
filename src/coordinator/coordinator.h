// Coordinator: the transaction and the group state machine, and the producer ids, as the broker
// holds them: one object to replay into, to write checkpoints from and to wake when time has
// passed. Pure; owned by the broker, on its thread.
//
// How the broker runs it (see also effects.h):
//  - recovery: RecoveryListener::on_snapshot calls restore(); on_record and on_end_transaction call
//    replay() with the record; on_topic_deleted calls on_topic_deleted(). With the log open:
//    start().
//  - a request: one member function of transactions(), groups() or below; then, in the same turn,
//    append the entries of Effects, and answer when everything appended so far is durable.
//  - time: after every step compare next_deadline() with the timer; when it is due, on_time().
//  - checkpoint: write_snapshot() in Log::set_snapshot_writer, in a turn of its own: every entry of
//    every step before has been appended, none of a later one.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"
#include "coordinator/effects.h"
#include "coordinator/group_coordinator.h"
#include "coordinator/producer_ids.h"
#include "coordinator/transaction_coordinator.h"

namespace onceflow::coordinator {

struct CoordinatorOptions {
  /// Where the producer ids of a log that has none yet begin (ProducerIds).
  ProducerId first_producer_id{0};
  TransactionOptions transactions;
  GroupOptions groups;
};

struct TxnOffsetCommitRequest {
  TransactionKey transaction;
  GroupMemberKey member;  ///< v0-2: no member id, generation -1
  std::span<const OffsetToCommit> offsets;
  std::int16_t api_version = 0;
};

class Coordinator {
 public:
  explicit Coordinator(CoordinatorOptions options);
  Coordinator(const Coordinator&) = delete;
  Coordinator& operator=(const Coordinator&) = delete;

  TransactionCoordinator& transactions() { return transactions_; }
  const TransactionCoordinator& transactions() const { return transactions_; }
  GroupCoordinator& groups() { return groups_; }
  const GroupCoordinator& groups() const { return groups_; }

  /// TxnOffsetCommit: the transaction first (v5+ adds the group to it), then the member, then the
  /// offsets become pending. What the group refuses puts the transaction in doubt, or dooms it, for
  /// its commit may be on its way already. Errors of the transaction: INVALID_PRODUCER_ID_MAPPING,
  /// INVALID_PRODUCER_EPOCH, TRANSACTION_ABORTABLE, INVALID_TXN_STATE; of the group as
  /// OffsetCommit.
  OffsetCommitReply txn_offset_commit(const TxnOffsetCommitRequest& request, const Moment& moment,
                                      Effects& effects);

  /// Before a batch of a producer without a transaction is appended: see ProducerIds::admit. An id
  /// that belongs to a transactional.id writes in transactions alone: INVALID_PRODUCER_ID_MAPPING.
  ErrorCode admit_idempotent(ProducerIdentity producer, Sequence first_sequence);
  /// After recovery: see ProducerIds::note_known.
  void note_known_producer(ProducerIdentity producer) { producer_ids_.note_known(producer); }

  /// DeleteGroups. Refused with NON_EMPTY_GROUP also while a transaction on the group is open: its
  /// commit would succeed without the offsets. The empty id too, as Kafka: offsets may be committed
  /// under it.
  ErrorCode delete_group(std::string_view group_id, Effects& effects);

  /// The topic and its offsets are gone. Live and in recovery; appends nothing, for the log
  /// remembers.
  void on_topic_deleted(const TopicId& topic) { groups_.remove_topic(topic); }

  // --- Time. ---

  /// The earliest time at which on_time() has something to do; nullopt if there is none.
  std::optional<MonotonicTime> next_deadline() const;
  /// What is due: transactions that time out, sessions that end, rebalances that complete; as much
  /// as a turn of the loop may do. What is left is due still, by next_deadline().
  void on_time(const Moment& moment, Effects& effects);

  // --- Recovery and checkpoints. ---

  /// A record as it stood in an entry of Effects, in the order of the journal, from exactly where
  /// the restored snapshot was written. kCorrupt if it does not decode.
  Status replay(ByteView record);
  /// After the last replay, before the first request: clocks go on. What began at a time ends when
  /// its time is up, the broker's absence included; a member of a group has its whole session from
  /// the first start that it has not been heard after.
  void start(const Moment& moment, Effects& effects);
  /// All that replay would have to know, without what dies with the connections.
  void write_snapshot(Buffer& destination) const;
  Buffer snapshot() const;
  /// Into a new Coordinator only. kCorrupt if it does not decode.
  Status restore(ByteView snapshot);

 private:
  SeededBug seeded_bug_;
  ProducerIds producer_ids_;
  GroupCoordinator groups_;
  TransactionCoordinator transactions_;
};

}  // namespace onceflow::coordinator
