// StageHistory: what one stage says it has done: its receipts, the input ranges in them, and the
// positions from which it would go on. Owned by one audit; claims read it.
#pragma once

#include <map>
#include <vector>

#include "audit/partition_scan.h"
#include "audit/receipts.h"
#include "audit/subject.h"
#include "base/ids.h"

namespace onceflow::audit {

/// What one commit says it took from one source partition.
struct InputRange {
  Offset from;
  Offset next;
  RecordTotals totals;
  std::size_t entry = 0;  ///< index in StageHistory::receipts
};

struct StageHistory {
  const StageSubject* subject = nullptr;
  std::vector<ReceiptEntry> receipts;
  /// Of settled receipts, in the order of `from`.
  std::map<TopicPartition, std::vector<InputRange>> ranges;
  /// Where the stage would go on; no entry: nothing is known.
  std::map<TopicPartition, Offset> positions;
  /// Receipts were deleted from the beginning of their topic, so the first ones kept begin
  /// anywhere.
  bool is_cut = false;

  /// Takes a receipt, and its ranges if it is settled.
  void add(ReceiptEntry entry);
  void sort_ranges();
  /// The first offset that no settled receipt has covered; kNoOffset without any receipt.
  Offset covered_to(const TopicPartition& source) const;
};

/// Every partition of every source and output topic that exists.
using Scans = std::map<TopicPartition, PartitionScan>;

}  // namespace onceflow::audit
