// DeletionCondition: what a condition may come to for a record without a value, whose fields nobody
// knows. What reads no field is evaluated; `and`, `or`, `not`, `case`, `iif`, `coalesce`, `ifnull`,
// `is`, and `=` and `<>` of a condition and a truth are followed, and so is what is null because a
// part of it is; whatever else reads a field may come to anything, and so may what cannot be
// evaluated.
//
// Owned by an operator of a worker, or used while a file is checked; on one thread.
#pragma once

#include <memory>
#include <string_view>

#include "base/result.h"
#include "engine/record.h"

namespace onceflow::pipeline {

struct Node;

class DeletionCondition {
 public:
  /// What may be anything: the fields of a record whose value is gone; or, for what can be said
  /// before there is a record, all parts of a record but its value, which is null with its fields;
  /// or all of any record; or nothing: what is judged is the record as it is.
  enum class Unknown { kFields, kOtherParts, kRecord, kNothing };

  /// The condition is one that check_expression() has accepted.
  static Result<std::unique_ptr<DeletionCondition>> prepare(std::string_view condition,
                                                            Unknown unknown);
  static Result<std::unique_ptr<DeletionCondition>> prepare(std::unique_ptr<Node> condition,
                                                            Unknown unknown);
  ~DeletionCondition();
  DeletionCondition(const DeletionCondition&) = delete;
  DeletionCondition& operator=(const DeletionCondition&) = delete;

  struct Outcomes {
    bool may_be_true = false;
    bool may_be_else = false;  ///< false or null, which drop a record
  };
  Outcomes judge(const TopicPartition& source, const engine::Record& record);

 private:
  struct State;
  explicit DeletionCondition(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace onceflow::pipeline
