// TransactionCoordinator: every transactional id, its producer and its transaction. Pure; owned by
// the Coordinator, on the broker's thread.
//
// A decision on this log is one journal entry that carries every marker and the group offsets
// (design D2a). So there is no Prepare state, nothing is ever pending, and CONCURRENT_TRANSACTIONS
// is never an answer; a transaction that stands in the way of a new producer is aborted in the same
// step.
//
// States of a transactional id, and what makes each move:
//   Empty          -> Ongoing                   begin_or_add()  by a first part
//   Ongoing        -> CompleteCommit            end()    by EndTxn
//   Ongoing        -> CompleteAbort             end()    by EndTxn or timeout
//   Ongoing        -> Empty                     end()    by InitProducerId (aborted)
//   CompleteCommit, CompleteAbort -> Ongoing    begin_or_add()
//   any            -> Empty                     init_producer_id()
//   any            -> CompleteAbort             end_txn() v5+, an abort of nothing
//
// Both transaction protocols live side by side, told apart by the version of each request: v1
// (EndTxn 0-4, Produce up to 11, TxnOffsetCommit 0-4) and v2 (KIP-890; EndTxn 5, Produce 12,
// TxnOffsetCommit 5), where partitions are added by the first produce and each end bumps the epoch.
//
// A part that was refused (a batch of Produce 12, offsets) may have the commit behind it on its way
// already. If its producer cannot send it again, the transaction must abort; if it can, there is a
// doubt (doubts.h) until the part has been accepted.
//
// Invariants: TXN-2 (the groups' offsets move in the entry that ends the transaction), TXN-3 (no
// transaction outlives its timeout, however often the broker starts meanwhile; see beginning.h),
// and: an epoch never goes back, and only the newest (producer id, epoch) of an id changes
// anything.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/seeded_bug.h"
#include "base/time.h"
#include "base/wire.h"
#include "coordinator/beginning.h"
#include "coordinator/doubts.h"
#include "coordinator/effects.h"
#include "coordinator/group_coordinator.h"
#include "coordinator/producer_ids.h"

namespace onceflow::coordinator {

struct TransactionOptions {
  /// Kafka's transaction.max.timeout.ms.
  Duration timeout_max = std::chrono::minutes(15);
  /// Reserved for the marker that fences an exhausted producer; epochs handed out stay below. A
  /// parameter, so that tests reach it.
  ProducerEpoch epoch_max{32767};
  std::size_t transactional_id_count_max = 100'000;
  std::size_t transactional_id_bytes_max = 255;
  /// Of the parts of one ongoing transaction, and of those of all: its partitions, its groups and
  /// its doubts, in memory.
  std::size_t transaction_bytes_max = 1u << 20;
  std::size_t transactions_bytes_max = 16u << 20;
  SeededBug seeded_bug = SeededBug::kNone;
};

/// Whether the connection of a request may go on (KAFKA-17754): a coordinator request for an id
/// that arrives on an older connection than the newest one heard of was delayed. It changes nothing
/// and is not answered: close the connection.
enum class ConnectionVerdict { kKeep, kClose };

/// Where a coordinator request came from, and when.
struct Caller {
  Moment moment;
  ConnectionNumber connection;
  std::int16_t api_version = 0;
};

struct InitProducerIdRequest {
  std::optional<std::string> transactional_id;
  Duration transaction_timeout{};
  ProducerIdentity expected;  ///< v3+, KIP-360; both -1: none
};
struct InitProducerIdReply {
  ErrorCode error = ErrorCode::kNone;
  ProducerIdentity producer;
  ConnectionVerdict verdict = ConnectionVerdict::kKeep;
};

/// The part that every request on a transaction shares.
struct TransactionKey {
  std::string_view transactional_id;
  ProducerIdentity producer;
};
struct TransactionReply {
  ErrorCode error = ErrorCode::kNone;
  ConnectionVerdict verdict = ConnectionVerdict::kKeep;
};
struct EndTxnReply {
  ErrorCode error = ErrorCode::kNone;
  ProducerIdentity producer;  ///< v5+: to be used from now on
  ConnectionVerdict verdict = ConnectionVerdict::kKeep;
};

enum class TransactionState : std::uint8_t {
  kEmpty = 0,
  kOngoing = 1,
  kCompleteCommit = 4,
  kCompleteAbort = 5,
};
/// Kafka's word for it: "Empty", "Ongoing", "CompleteCommit", "CompleteAbort".
std::string_view to_string(TransactionState state);

/// For DescribeTransactions, ListTransactions and the console.
struct TransactionDescription {
  std::string transactional_id;
  TransactionState state = TransactionState::kEmpty;
  ProducerIdentity producer;
  Duration timeout{};
  std::optional<WallTime> started_at;  ///< while Ongoing
  bool must_abort = false;             ///< if a commit came now
  std::vector<TopicIdPartition> partitions;
  std::vector<std::string> groups;
};

/// An ongoing transaction in short.
struct OngoingTransaction {
  std::string_view transactional_id;  ///< valid until the next step
  ProducerIdentity producer;
  WallTime started_at;
  Duration timeout{};
  std::size_t partition_count = 0;
  std::size_t group_count = 0;
};

struct TransactionFilter {
  std::vector<TransactionState> states;  ///< empty: all
  std::vector<ProducerId> producer_ids;  ///< empty: all
  std::optional<Duration> running_longer_than;
};

class TransactionCoordinator {
 public:
  TransactionCoordinator(TransactionOptions options, ProducerIds& producer_ids,
                         GroupCoordinator& groups);

  /// Fences whoever had the id: aborts its transaction if one is ongoing, bumps the epoch (a new
  /// producer id when the epochs are used up), and answers at once. Without a transactional id a
  /// fresh producer id. With `expected` (KIP-360) a producer that is still the newest bumps its own
  /// epoch, a repetition is answered alike, and so is a producer whose transaction timed out
  /// (KIP-588): it goes on with the epoch that fenced the transaction. Errors: INVALID_REQUEST,
  /// INVALID_TRANSACTION_TIMEOUT, PRODUCER_FENCED (v0-3: INVALID_PRODUCER_EPOCH),
  /// COORDINATOR_NOT_AVAILABLE (too many ids).
  InitProducerIdReply init_producer_id(const InitProducerIdRequest& request, const Caller& caller,
                                       Effects& effects);

  /// AddPartitionsToTxn; for v4+ call once for each of its transactions. The partitions exist
  /// (those that do not are the caller's to refuse, with OPERATION_NOT_ATTEMPTED for the rest).
  /// Errors: INVALID_REQUEST, INVALID_PRODUCER_ID_MAPPING, PRODUCER_FENCED (v0-1:
  /// INVALID_PRODUCER_EPOCH), POLICY_VIOLATION (more than one transaction may have), and
  /// COORDINATOR_NOT_AVAILABLE (than all may: to be tried again).
  TransactionReply add_partitions(const TransactionKey& key,
                                  std::span<const TopicIdPartition> partitions,
                                  const Caller& caller, Effects& effects);
  /// AddPartitionsToTxn v4+ with verify_only: kNone if the partition is in the ongoing transaction,
  /// TRANSACTION_ABORTABLE if not.
  ErrorCode verify_partition(const TransactionKey& key, const TopicIdPartition& partition) const;

  /// AddOffsetsToTxn. Errors as add_partitions, and INVALID_GROUP_ID.
  TransactionReply add_offsets(const TransactionKey& key, std::string_view group_id,
                               const Caller& caller, Effects& effects);

  /// EndTxn; v5+ by the rules of transactions v2. An abort always ends what is ongoing; a commit of
  /// a transaction that must abort answers TRANSACTION_ABORTABLE and changes nothing. Errors:
  /// INVALID_REQUEST, INVALID_PRODUCER_ID_MAPPING, PRODUCER_FENCED (v0-1: INVALID_PRODUCER_EPOCH),
  /// INVALID_TXN_STATE, TRANSACTION_ABORTABLE.
  EndTxnReply end_txn(const TransactionKey& key, TransactionResult result, const Caller& caller,
                      Effects& effects);

  /// Before a transactional batch is appended, in the same step (the journal entries of `effects`
  /// go first): Produce 12 and later adds the partition, earlier versions require that it was
  /// added. To be asked after Partition::find_duplicate: the retry of a batch of a finished
  /// transaction is a success. Errors: INVALID_PRODUCER_ID_MAPPING, INVALID_PRODUCER_EPOCH; not in
  /// the transaction: TRANSACTION_ABORTABLE (Produce 11 and later) or INVALID_TXN_STATE. Produce 12
  /// that adds more than there may be: TRANSACTION_ABORTABLE, and the transaction must abort.
  ErrorCode admit_produce(const TransactionKey& key, const TopicIdPartition& partition,
                          std::int16_t produce_version, const Moment& moment, Effects& effects);

  /// As admit_produce for a TxnOffsetCommit: version 5 and later adds the group. Called by
  /// Coordinator::txn_offset_commit. Not in the transaction: TRANSACTION_ABORTABLE (4 and later) or
  /// INVALID_TXN_STATE. INVALID_GROUP_ID if the id is too long.
  ErrorCode admit_offsets(const TransactionKey& key, std::string_view group_id,
                          std::int16_t api_version, const Moment& moment, Effects& effects);

  /// Something that belongs to this producer's transaction was refused (a batch, offsets), and its
  /// commit may already be on its way: from now on the transaction can only be aborted. Call this
  /// or add_doubt for every refused transactional batch of Produce 12 and later, whatever the
  /// error; a stale or unknown producer is ignored. With v2 a transaction that has not begun begins
  /// by this, so that a commit behind it finds something to refuse.
  void mark_must_abort(const TransactionKey& key, const Moment& moment, Effects& effects);
  /// As mark_must_abort, for a part that its producer sends again on this error: until settle_doubt
  /// hears that it was accepted.
  void add_doubt(const TransactionKey& key, const TransactionPart& refused, const Moment& moment,
                 Effects& effects);
  /// To be called for whatever is accepted of a transaction of v2, a duplicate too.
  void settle_doubt(const TransactionKey& key, const TransactionPart& accepted, Effects& effects);

  // --- Looking. ---

  std::optional<TransactionDescription> describe(std::string_view transactional_id) const;
  /// Sorted by transactional id.
  std::vector<TransactionDescription> list(const TransactionFilter& filter,
                                           const Moment& moment) const;
  /// At most `count_max` of the ongoing ones: those that time out first.
  std::vector<OngoingTransaction> list_soonest(std::size_t count_max) const;
  /// Whose current producer id this is; for DescribeProducers and the console.
  std::optional<std::string_view> find_by_producer_id(ProducerId producer_id) const;
  bool is_group_in_ongoing_transaction(std::string_view group_id) const {
    return ongoing_by_group_.contains(group_id);
  }
  std::size_t transactional_id_count() const { return transactions_.size(); }
  std::size_t ongoing_count() const { return deadlines_.size(); }
  /// What the parts of all ongoing transactions take, against transactions_bytes_max.
  std::size_t part_bytes() const { return part_bytes_; }

  // --- Time, replay and checkpoints: called by the Coordinator. ---

  /// Earliest deadline of an ongoing transaction.
  std::optional<MonotonicTime> next_deadline() const;
  /// Aborts what has outlived its timeout and fences its producer: as much as a turn of the loop
  /// may do. What is left is due still, by next_deadline().
  void on_time(const Moment& moment, Effects& effects);
  /// After replay: every ongoing transaction gets what is left of its timeout since it began.
  void restart_clocks(const Moment& moment, Effects& effects);

  void replay_transactional_id(WireReader& reader);
  void replay_transaction_extended(WireReader& reader, std::int8_t version);
  void replay_transaction_ended(WireReader& reader);
  void replay_transaction_doubt(WireReader& reader);
  void write_snapshot(WireWriter& writer) const;
  void restore(WireReader& reader, std::int8_t version);

 private:
  struct Transaction {
    ProducerIdentity producer;  ///< the newest; nobody else changes anything
    /// Who it was before the last bump, if that one may ask again what came of its last request.
    /// None after a fresh InitProducerId (another instance took over) and while a transaction is
    /// ongoing.
    ProducerIdentity previous;
    TransactionState state = TransactionState::kEmpty;
    bool must_abort = false;
    Doubts doubts;
    Duration timeout{};
    WallTime started_at;  ///< as people read it
    Beginning beginning;  ///< as the timeout counts
    std::set<TopicIdPartition> partitions;
    std::set<std::string, std::less<>> groups;
    std::size_t group_bytes = 0;         ///< what `groups` takes
    std::size_t counted_part_bytes = 0;  ///< in part_bytes_
    // What follows is not durable.
    ConnectionNumber newest_connection;
    MonotonicTime deadline{};
  };
  using Transactions = std::map<std::string, Transaction, std::less<>>;
  using Entry = Transactions::value_type;
  /// What a step makes of an id that has no ongoing transaction, or none any more.
  struct Settled {
    TransactionState state = TransactionState::kEmpty;
    ProducerIdentity producer;
    ProducerIdentity previous;
    Duration timeout{};
  };
  struct Addition {
    std::span<const TopicIdPartition> partitions;
    std::span<const std::string_view> groups;
    bool must_abort = false;
  };
  struct Found {
    Entry* entry = nullptr;
    ErrorCode error = ErrorCode::kNone;
    ConnectionVerdict verdict = ConnectionVerdict::kKeep;
  };

  Found find_for_coordinator_request(const TransactionKey& key, const Caller& caller);
  static bool note_connection(Transaction& transaction, const Caller& caller);
  Found find_for_data(const TransactionKey& key) const;
  InitProducerIdReply create(const std::string& transactional_id, Duration timeout,
                             const Caller& caller, Effects& effects);
  EndTxnReply end_txn_v1(Entry& entry, TransactionResult result, const Moment& moment,
                         Effects& effects);
  EndTxnReply end_txn_v2(Entry& entry, TransactionResult result, const Moment& moment,
                         Effects& effects);
  static EndTxnReply answer_retry(const Transaction& transaction, TransactionResult result);

  struct Bump {
    ProducerIdentity marker;  ///< what fences the old epoch on the partitions
    ProducerIdentity next;    ///< what the producer goes on with
  };
  Bump bump(ProducerIdentity producer, Effects& effects);
  ErrorCode check_bounds(const Transaction& transaction, const Addition& addition) const;
  bool has_room_for(const Transaction& transaction, std::size_t bytes) const;
  void recount(Transaction& transaction);
  ErrorCode add_by_data(Entry& entry, const Addition& addition, const Moment& moment,
                        Effects& effects);
  void begin_or_add(Entry& entry, const Addition& addition, const Moment& moment, Effects& effects);
  void end(Entry& entry, TransactionResult result, ProducerIdentity marker, const Settled& settled,
           const Moment& moment, Effects& effects);
  void settle(const std::string& transactional_id, const Settled& settled, Effects& effects);
  void check_no_step_back(const Transaction& transaction, const Settled& settled) const;
  void apply_settled(Entry& entry, const Settled& settled);
  static TransactionDescription description(const Entry& entry);
  static void write_settled(WireWriter& writer, const Settled& settled);
  static Settled read_settled(WireReader& reader);
  void read_addition(WireReader& reader, Transaction& transaction);
  void write_extension(Entry& entry, const Addition& addition, WallTime started_at,
                       const Beginning& beginning, Effects& effects);
  void write_doubt(Entry& entry, bool is_settled, const TransactionPart& part, Effects& effects);

  TransactionOptions options_;
  ProducerIds& producer_ids_;
  GroupCoordinator& groups_;
  Transactions transactions_;
  std::size_t part_bytes_ = 0;
  std::unordered_map<ProducerId, Entry*> by_producer_id_;             // current ids only
  std::map<std::string, std::size_t, std::less<>> ongoing_by_group_;  // how many have it; none is 0
  std::set<std::pair<MonotonicTime, ProducerId>> deadlines_;  // of the ongoing, once clocks run
};

}  // namespace onceflow::coordinator
