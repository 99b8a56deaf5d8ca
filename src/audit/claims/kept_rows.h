// KeptRows: rows of a table that receipts speak of which are not the stage's any more: those that a
// reset has listed as kept (docs/formats/receipt.md), and those of a sink that the pipeline had.
// They are not covered; each is excused once. Of one record there may be such a row and a new one:
// they are told apart by their hashes, where the receipts have them.
//
// Owned by one claim about a table. Receipts first, then rows, then tell().
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "audit/findings.h"
#include "audit/row_shapes.h"
#include "audit/row_source.h"
#include "protocol/receipt.h"

namespace onceflow::audit {

class KeptRows {
 public:
  enum class Of { kReset, kFormerSink };

  /// `output`: of the table. What `shape` refers to outlives this.
  void add_receipt(const protocol::Receipt& receipt, const protocol::Receipt::Output& output, Of of,
                   const RowShape& shape, RowSources& sources);
  /// A reset has said which rows it kept: all that there may be.
  bool has_list() const { return has_list_; }
  bool empty() const { return rows_.empty() && without_source_count_ == 0; }

  /// The hash of the row at hand, by its shape.
  using HashOf = std::function<std::uint64_t(const RowShape&)>;
  enum class Taken {
    kNone,
    kTaken,
    /// It is, and a row that does not hold what is listed had been taken for it.
    kInPlaceOfOther,
  };
  /// Whether the row holds what one of those of this record held.
  Taken take_as_listed(const RowSource& source, const HashOf& hash_of);
  /// Whether it may be one of them; not one that has come since as it is listed.
  bool take_any(const RowSource& source);
  bool take_without_source();
  /// Before all rows are looked at once more.
  void put_all_back();

  /// What has become of one that is not there.
  enum class Fate { kGone, kReplaced, kUnclear };
  using FateOf =
      std::function<Fate(const RowSource& source, std::uint64_t row_hash, std::uint64_t key_hash)>;
  /// `unclear`: what it is, if not gone. Counts are of the first look at the rows.
  void tell(const std::string& table, const RowSources& sources, const FateOf& fate_of,
            std::string_view unclear, Findings& findings) const;

 private:
  enum class State : std::uint8_t { kFree, kAsListed, kUnknown, kOther };
  struct Row {
    RowSource source;
    std::uint64_t row_hash = 0;  ///< 0: not known
    std::uint64_t key_hash = 0;
    const RowShape* shape = nullptr;
    Of of = Of::kReset;
    State first = State::kFree;  ///< at the first look
    State now = State::kFree;

    bool is_comparable() const {
      return row_hash != 0 && shape->known == RowShape::Columns::kKnown;
    }
  };
  std::vector<Row>::iterator find_first(const RowSource& source);
  void put(Row& row, State state);

  std::vector<Row> rows_;
  bool is_sorted_ = false;
  bool is_again_ = false;
  bool has_list_ = false;
  std::int64_t without_source_count_ = 0;
  std::int64_t without_source_there_ = 0;
  std::int64_t without_source_left_ = 0;
  std::int64_t kept_at_ms_ = 0;  ///< by the newest list
};

}  // namespace onceflow::audit
