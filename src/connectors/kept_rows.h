// KeptRows: the receipts in which a reset lists the rows that it keeps of a table
// (docs/formats/receipt.md), with the hashes that the receipts had of them which it takes away. One
// reset owns it; it holds 48 bytes for each row that they speak of.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "connectors/sink.h"
#include "protocol/receipt.h"

namespace onceflow::connectors {

class KeptRows {
 public:
  using Write = std::function<Status(const protocol::Receipt&)>;

  /// `table` outlives it.
  KeptRows(const SinkTable& table, std::int64_t now_ms, Write write)
      : table_(table), now_ms_(now_ms), write_(std::move(write)) {}

  /// Before the rows: one that has written the table, or has listed rows of it.
  void add_receipt(const protocol::Receipt& receipt);
  /// The source of each row; equal ones follow one another. One that names no record is counted.
  Status add_row(const std::string& source);
  /// There is one receipt at least: it says that there were no other rows.
  Status finish();

 private:
  /// What a receipt says of a row.
  struct Known {
    std::uint32_t partition_number = 0;
    Offset offset;
    std::uint64_t row_hash = 0;  ///< 0: nothing
    std::uint64_t key_hash = 0;
    std::uint64_t definition = 0;
    bool is_listed = false;  ///< by a reset before this one
  };
  /// Of rows of one definition, until there are enough for a receipt.
  struct Page {
    std::map<TopicPartition, std::vector<protocol::Receipt::Row>> rows;
    std::int64_t row_count = 0;
  };

  void sort();
  Status list_pending();
  std::span<const Known> known_of(const TopicPartition& source, Offset offset) const;
  Status add(std::uint64_t definition, const TopicPartition& source,
             const protocol::Receipt::Row& row);
  Status count(Page& page, std::uint64_t definition);
  Status write(Page& page, std::uint64_t definition);

  const SinkTable& table_;
  const std::int64_t now_ms_;
  const Write write_;
  std::map<TopicPartition, std::uint32_t> numbers_;
  std::vector<Known> known_;
  bool is_sorted_ = false;
  std::string pending_;  ///< the source of the rows that are counted
  std::size_t pending_count_ = 0;
  std::map<std::uint64_t, Page> pages_;
  bool is_written_ = false;
};

}  // namespace onceflow::connectors
