// ProducerIds: hands out producer ids, none of them twice, also not over a crash; and says what
// becomes of those that it has not handed out (PRD-3). Pure; owned by the Coordinator, on the
// broker's thread.
//
// Ids are taken from blocks that are journalled before the first id of them leaves. What is left of
// a block when the broker stops is never used: simpler than remembering each id, and there are
// 2^63.
//
// The ids of a log begin at a number that was drawn when it had none: a multiple of 2^32, below
// 2^53 so that no tool rounds it. So the id of another log is known to be one, and is nobody's
// here. (Logs of older versions begin at 0.) After 2^32 ids the first of them would count as
// another's.
//
// A stranger is an id that this log has not handed out: one that somebody made up, or that of a
// producer which has outlived the log it had it from. It must not write as if it were known: the
// log might hand out the same id, and take the batches of the one for retries of the other's. It is
// refused with UNKNOWN_PRODUCER_ID. A living producer answers that as KIP-360 says: it raises its
// own epoch and begins at sequence 0, in every client known. With that it is let in, and its id is
// never handed out.
#pragma once

#include <cstdint>
#include <deque>
#include <unordered_map>

#include "base/ids.h"
#include "base/wire.h"
#include "coordinator/effects.h"

namespace onceflow::coordinator {

class ProducerIds {
 public:
  static constexpr std::int64_t kBlockSize = 1000;
  static constexpr std::int64_t kIdsOfALog = std::int64_t{1} << 32;
  static constexpr std::uint64_t kLogsMax = std::uint64_t{1} << 20;
  /// Strangers let in; the next one is refused until the broker starts again.
  static constexpr std::size_t kStrangersMax = 10'000;
  /// Strangers refused whose answer is waited for; the oldest is forgotten first.
  static constexpr std::size_t kRefusedMax = 10'000;

  /// `first` is where the ids of a log begin that has none yet: a multiple of kIdsOfALog.
  explicit ProducerIds(ProducerId first = ProducerId(0));

  /// A fresh id. Adds the record of a new block to `effects` when the old one is used up.
  ProducerId next(Effects& effects);

  /// Before a batch without a transaction is appended; `first_sequence` is the batch's. kNone or
  /// UNKNOWN_PRODUCER_ID.
  ErrorCode admit(ProducerIdentity producer, Sequence first_sequence);
  /// After recovery, for each producer that a partition knows: a stranger that was let in before
  /// stays.
  void note_known(ProducerIdentity producer);
  bool is_handed_out(ProducerId id) const;

  /// Of a block's record, after its kind: see docs/formats/coordinator_records.md.
  void replay(WireReader& reader);
  void write_snapshot(WireWriter& writer) const;
  void restore(WireReader& reader);

 private:
  std::int64_t next_;       // not durable, on purpose
  std::int64_t block_end_;  // durable: everything below, of this log, may have been handed out
  // Neither is durable: what a stranger has written is (note_known).
  std::unordered_map<ProducerId, ProducerEpoch> strangers_;  // let in, from this epoch on
  std::unordered_map<ProducerId, ProducerEpoch> refused_;    // with this epoch
  std::deque<ProducerId> refused_order_;
};

}  // namespace onceflow::coordinator
