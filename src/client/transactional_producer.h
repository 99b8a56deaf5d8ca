// TransactionalProducer: output and input offsets move together or not at all.
//
// Owned by the worker of one stage; runs on the cluster's scheduler. One call at a time.
//
// States: kUninitialised → init_transactions → kReady → begin → kInTransaction → commit or abort →
// kReady. Whatever leaves the fate of a commit unknown, or fences, leads to kUninitialised: only
// init_transactions() leads out of it, and its epoch bump fences every request still on its way
// (D5).
//
// Transactions version 2 (KIP-890) where the cluster has finalized transaction.version 2, so that
// the epoch changes with every EndTxn; version 1 elsewhere. Where the broker supports
// "onceflow.pipelined.transactions", last batches, offsets and EndTxn are written without waiting
// in between; elsewhere each waits for the one before.
//
// What to do on an error (it says so itself, in Error::recovery):
//   kUnknownOutcome    commit() and abort() only: it may or may not have happened.
//                      init_transactions(), then read the committed offsets with require_stable,
//                      and go on from there.
//   Recovery::kAbort   the transaction did not and will not commit: abort(), go back to the
//                      committed offsets. With kFenced: the group's generation has passed.
//   kRefused, kFatal   the broker will never take what the transaction holds, and the text says
//   what
//                      and why: abort(), and do not try the same again.
//   kUnsupported, kAbort   an error that nobody knows (base/error_class.h): as Recovery::kAbort,
//   once. kFenced, kFatal    another producer with this id has taken over, or the coordinator timed
//   the
//                      transaction out. Not this object's decision: back to the owner.
//   Recovery::kRetriable   of init_transactions(): the deadline came; try again.
//   kCancelled         the cluster was closed.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/task.h"
#include "client/cluster.h"
#include "client/group_metadata.h"
#include "client/options.h"
#include "client/producer.h"

namespace onceflow::client {

class TransactionalProducer {
 public:
  enum class State { kUninitialised, kReady, kInTransaction, kMustAbort };

  TransactionalProducer(std::shared_ptr<Cluster> cluster, ProducerOptions options,
                        TransactionOptions transaction_options);
  /// Closes. An open transaction is left to its timeout or to the next init_transactions().
  ~TransactionalProducer();
  TransactionalProducer(TransactionalProducer&&) noexcept;
  TransactionalProducer& operator=(TransactionalProducer&&) noexcept;

  /// Takes the transactional id over: aborts what its predecessor left open, fences the predecessor
  /// and every request of ours that is still on its way. In any state, any number of times.
  Task<Status> init_transactions(MonotonicTime deadline);

  /// kReady only. Asks the cluster for nothing.
  Status begin();

  PartitionSlot slot(const TopicPartition& partition);
  /// As Producer's; the records belong to the open transaction.
  Status append(PartitionSlot slot, const protocol::NewRecord& record, RecordOrigin origin = {});
  void limit_batches(PartitionSlot slot, std::size_t bytes_max);
  const std::optional<RecordOrigin>& refused_origin() const;
  Status append_batch(PartitionSlot slot, Buffer batch);
  bool has_room() const;
  Task<Status> wait_for_room(MonotonicTime deadline);
  /// Waits for what was appended so far. Not needed before commit().
  Task<Status> flush(MonotonicTime deadline);

  /// Input positions (the next offset to read) that move with this transaction; sent in commit().
  /// `group` is as it was when the records were read: a generation that has passed makes commit()
  /// fail with Recovery::kAbort.
  Status send_offsets(GroupMetadata group, std::vector<OffsetToCommit> offsets);

  /// Everything appended, and the offsets, become visible at once; or an error, see above. A
  /// transaction with neither is committed without asking anybody. At the deadline: kTimedOut with
  /// kAbort if EndTxn was not sent, else kUnknownOutcome.
  Task<Status> commit(MonotonicTime deadline);
  /// Drops what was not sent, aborts the rest; where the fate of a request is unknown, by way of
  /// init_transactions(). The producer is ready again if this succeeds.
  Task<Status> abort(MonotonicTime deadline);

  State state() const;
  ProducerIdentity identity() const;
  /// 1 or 2; what the last init_transactions() chose.
  int transaction_version() const;
  /// Whether commits are written without waiting.
  bool is_pipelined() const;
  Offset acknowledged_end(PartitionSlot slot) const;
  ProducerStatistics statistics() const;
  void close();

 private:
  class Core;
  std::shared_ptr<Core> core_;  ///< shared with its own background coroutine
};

}  // namespace onceflow::client
