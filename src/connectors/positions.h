// What both databases check about positions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "connectors/sink.h"

namespace onceflow::connectors {

/// For a table that had to be created: kRefused if positions say that rows were written to it
/// before.
Status check_nothing_was_written(const SinkTable& table,
                                 const std::vector<ClaimedPartition>& claimed);

/// The place of a row's record, as it stands in kSourceColumn.
std::string source_of_row(const SinkCommit& commit, const SinkRow& row);

/// Why a commit is fenced: what the row of one of its partitions says, and what the commit
/// believed.
std::string describe_fence(const SinkPosition& believed, const ClaimedPartition& stored);

/// Of two digits a byte, as PostgreSQL's encode(…, 'hex') gives them.
Buffer from_hex(std::string_view digits);

/// Fills in ClaimedPartition::receipt_offset from receipts, the newest first.
class NewestReceipts {
 public:
  explicit NewestReceipts(std::vector<ClaimedPartition>& claimed)
      : claimed_(claimed), wanted_(claimed.size()) {}

  /// Whether older receipts may still say something.
  bool wants_more() const { return wanted_ > 0 && seen_ < kReceiptsLookedAtMax; }
  void add(ByteView receipt);

 private:
  std::vector<ClaimedPartition>& claimed_;
  std::size_t wanted_;
  std::size_t seen_ = 0;
};

}  // namespace onceflow::connectors
