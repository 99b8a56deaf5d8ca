// Claims about a table: every row that a receipt says was written is there once, with the same
// values, and nothing else is (STG-1, to the last row).
//
//   append   each receipt row is one row of the table
//   upsert   of each key the last receipt row is the row of the table; a deleted key has none
//
// The rows of a receipt are judged by the definition that it names (RowShapes). Where that kept the
// table by another mode or key, what was written until then is not covered; nor are values where it
// has columns that the file does not name.
//
// Receipts are added in the order of their ids, then the rows of the table in any order, then
// judge(). Memory: 40 bytes a row (append) or a key (upsert).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "audit/claims/topic_outputs.h"
#include "audit/definition_records.h"
#include "audit/findings.h"
#include "audit/receipts.h"
#include "audit/subject.h"
#include "audit/table_reader.h"

namespace onceflow::audit {

class TableClaim {
 public:
  virtual ~TableClaim() = default;
  /// `entry` is its index; findings name it through the receipts given to judge().
  virtual void add_receipt(std::size_t entry, const protocol::Receipt& receipt) = 0;
  /// Before the rows: a receipt of what the pipeline has left in the table, as a sink that it has
  /// no more, or before a reset that kept the rows. Each row that one speaks of is not covered,
  /// once.
  virtual void add_former_receipt(const protocol::Receipt& receipt) = 0;
  /// Before the rows: receipts were deleted from the oldest on. Rows of records before these
  /// offsets may be of them.
  virtual void expect_deleted_receipts(const std::map<TopicPartition, Offset>& floors) = 0;
  /// False: a stranger, which no receipt of the stage speaks of.
  [[nodiscard]] virtual bool add_row(const StoredRow& row) = 0;
  /// Where there are strangers: first the receipts of other pipelines, which may have written to
  /// the table, too; then all rows once more. One that they speak of is theirs, and their audit's.
  virtual void add_receipt_of_others(const protocol::Receipt& receipt) = 0;
  virtual void add_row_again(const StoredRow& row) = 0;
  /// Before judge(): keys that differ may be one row, for this reason
  /// (TableReader::key_equality()). Then a key without a row of its own is no finding, but not
  /// covered.
  virtual void expect_equal_keys(std::string reason) = 0;
  virtual void judge(const std::vector<ReceiptEntry>& receipts) = 0;
  /// Rows that were as they should be.
  virtual std::int64_t verified_row_count() const = 0;
};

std::unique_ptr<TableClaim> make_table_claim(const StageSubject& stage,
                                             const DefinitionRecords& definitions,
                                             Strangers strangers, Findings& findings);

}  // namespace onceflow::audit
