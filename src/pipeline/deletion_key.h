// What a key comes to for a record without a value, which deletes a row. No field is there to tell
// it which, and its timestamp and offset are not those of the record that made the row: what tells
// the row is the record's own key. `coalesce`, `ifnull`, `case` and `iif` are followed to what they
// choose: a part that reads fields tells the row only where it comes to the record's key, as
// `coalesce($.id, key)` does.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/value.h"
#include "pipeline/deletion_condition.h"
#include "pipeline/expression.h"

namespace onceflow::pipeline {

/// Judges whether a key of these parts, of the record or of a row, tells the row that a record
/// without a value deletes. Used as a DeletionCondition is.
class DeletionKey {
 public:
  /// The parts are expressions that check_expression() has accepted.
  static Result<DeletionKey> prepare(const std::vector<Expression>& parts,
                                     DeletionCondition::Unknown unknown);

  enum class Why {
    kPart,      ///< the part is made of what other records of the row had otherwise
    kNoPart,    ///< no part comes to the record's key
    kSamePart,  ///< the part comes to the whole key of the record, and so does another
  };
  struct Lost {
    Why why = Why::kPart;
    std::size_t part = 0;
  };
  struct Outcomes {
    bool may_be_told = false;
    std::optional<Lost> may_be_lost;
  };
  Outcomes judge(const TopicPartition& source, const engine::Record& record) const;

  /// The part is the same for all records that make a row, whatever comes.
  bool is_always_same(std::size_t part) const { return told_[part] == nullptr; }

 private:
  struct SamePart {
    std::size_t part;
    std::unique_ptr<DeletionCondition> condition;
  };
  std::vector<std::unique_ptr<DeletionCondition>> told_;  ///< of each part; null: always
  std::unique_ptr<DeletionCondition> has_key_;            ///< of some part; null: always
  std::vector<SamePart> same_parts_;
};

/// What the sole part of a key is written as for tables in which the record's own key is its value.
std::string told_by_key(std::string_view part, ColumnType type);
/// What one of several parts is written as where the record's key is JSON that has the part's
/// field; nullopt: it is not one field.
std::optional<std::string> told_by_member_of_key(std::string_view part);

}  // namespace onceflow::pipeline
