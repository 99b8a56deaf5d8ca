// What both databases check about positions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "connectors/sink.h"
#include "protocol/receipt.h"

namespace onceflow::connectors {

/// The place of a row's record, as it stands in kSourceColumn.
std::string source_text(const TopicPartition& source, Offset offset);
/// The record that such a text names; nothing where it names none.
std::optional<std::pair<TopicPartition, Offset>> parse_source(std::string_view text);
/// What the places of all its records begin with: "in/0/".
std::string beginning_of(const TopicPartition& source);
std::string source_of_row(const SinkCommit& commit, const SinkRow& row);

/// Why a commit is fenced: what the row of one of its partitions says, and what the commit
/// believed.
std::string describe_fence(const SinkPosition& believed, const ClaimedPartition& stored);

/// Of a row of onceflow_positions that says what no version has written: `what` is a column and its
/// value, `change` sets the column to what stands for it; empty: nothing does.
std::unexpected<Error> refuse_position(const SinkTable& table, const TopicPartition& source,
                                       std::string_view what, std::string_view rule,
                                       std::string_view change);
/// Refuses such rows, of those that were claimed.
Status check_positions(const SinkTable& table, const std::vector<ClaimedPartition>& claimed);

/// Of two digits a byte, as PostgreSQL's encode(…, 'hex') gives them.
Buffer from_hex(std::string_view digits);

/// Fills in ClaimedPartition::receipt_offset and receipt_input from receipts, the newest first, and
/// finds the newest row that they speak of.
class NewestReceipts {
 public:
  enum class Row : std::uint8_t { kNotWanted, kWanted };

  explicit NewestReceipts(std::vector<ClaimedPartition>& claimed, Row row = Row::kNotWanted)
      : claimed_(claimed), wanted_(claimed.size()), wants_row_(row == Row::kWanted) {}

  /// Whether older receipts may still say something.
  bool wants_more() const {
    return (wanted_ > 0 || (wants_row_ && row_.empty())) && seen_ < kReceiptsLookedAtMax;
  }
  void add(ByteView receipt);

  /// There are no older receipts: one that was not found is not there.
  bool has_seen_all() const { return seen_ < kReceiptsLookedAtMax; }
  /// The source of the row ("in/0/4") that no later commit has deleted or written again; empty:
  /// there is none in the receipts that were seen.
  const std::string& row() const { return row_; }
  /// There are receipts, all were seen, and none has a row that is still there.
  bool says_no_row_was_written() const { return row_.empty() && seen_ > 0 && has_seen_all(); }

 private:
  void find_row(const protocol::Receipt& receipt);

  std::vector<ClaimedPartition>& claimed_;
  std::size_t wanted_;
  std::size_t seen_ = 0;
  bool wants_row_;
  std::set<std::uint64_t> deleted_keys_;  ///< by receipts that are newer
  std::string row_;
};

}  // namespace onceflow::connectors
