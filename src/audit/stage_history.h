// StageHistory: what one stage says it has done: its receipts, the input ranges in them, and the
// positions from which it would go on. Owned by one audit; claims read it.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "audit/partition_scan.h"
#include "audit/receipts.h"
#include "audit/subject.h"
#include "base/ids.h"
#include "base/time.h"

namespace onceflow::audit {

/// What one commit says it took from one source partition.
struct InputRange {
  Offset from;
  Offset next;
  RecordTotals totals;
  std::size_t entry = 0;  ///< index in StageHistory::receipts
  TopicId topic_id{};     ///< zeros: unknown
};

/// Where a receipt says that the stage was told to begin.
struct InputBeginning {
  Offset offset;
  protocol::Receipt::Beginning reason = protocol::Receipt::Beginning::kNone;
  std::size_t entry = 0;
  TopicId topic_id{};
};

/// What receipts say of one partition of a topic that had the name before, and is gone.
struct FormerTopic {
  TopicId topic_id;
  Offset covered_to;
  std::int64_t record_count = 0;
};

struct StageHistory {
  const StageSubject* subject = nullptr;
  std::vector<ReceiptEntry> receipts;
  /// Of settled receipts, in the order of `from`.
  std::map<TopicPartition, std::vector<InputRange>> ranges;
  /// Of settled receipts, in their order.
  std::map<TopicPartition, std::vector<InputBeginning>> beginnings;
  /// Of settled receipts that speak of another topic of the name than the one that is there.
  std::map<TopicPartition, FormerTopic> former;
  /// Where the logs began before anything was read.
  std::map<TopicPartition, Offset> starts_before;
  /// Where the stage would go on; no entry: nothing is known.
  std::map<TopicPartition, Offset> positions;
  /// Receipts were deleted from the beginning of their topic, so the first ones kept begin
  /// anywhere.
  bool is_cut = false;

  /// Takes a receipt, and its ranges if it is settled.
  void add(ReceiptEntry entry);
  void sort_ranges();
  /// Sets aside what receipts say of earlier topics of this name.
  void set_topic_id(const std::string& topic, const TopicId& id);
  /// Of a stage whose receipts are in a database: those that it began with are not there, though
  /// its version writes them; or none is, and it has come somewhere. Asks the positions.
  bool has_lost_its_first_receipts() const;
  /// Then, by partition: what lies before was accounted for by receipts that are gone.
  std::map<TopicPartition, Offset> floors() const;
  /// The last time that an operator moved the position; null: never.
  const InputBeginning* last_reset(const TopicPartition& source) const;
  /// The first offset that no settled receipt has covered since the last reset, where its beginning
  /// is covered by being told; kNoOffset without any receipt.
  Offset covered_to(const TopicPartition& source) const;
};

/// When a reset began the pipeline anew, with receipts of their own: the first receipt in the log
/// of them is the reset's. What the pipeline wrote before has no receipt any more.
std::optional<WallTime> reset_that_began(const std::vector<StageHistory>& histories,
                                         const std::vector<StageHistory>& former);

/// Every partition of every source and output topic that exists.
using Scans = std::map<TopicPartition, PartitionScan>;

}  // namespace onceflow::audit
