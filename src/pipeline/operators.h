// Operators and projections of a pipeline file: SQL over the records of a chunk. Each factory makes
// one for one worker; what it makes is used on that worker's thread only.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/topology.h"
#include "pipeline/expression.h"
#include "pipeline/projected_column.h"
#include "pipeline/record_problem.h"

namespace onceflow::pipeline {

/// Whether a step of the file can still keep a record from where it is refused.
enum class StepBefore {
  kHelps,
  kIsTooLate,  ///< all steps are in stages before, and the record is in the topic after them
};
/// The refusal of a record by a step: both are named, with what is wrong, the rule and the fix.
std::unexpected<Error> refuse_record(std::string_view step, const engine::Chunk& chunk,
                                     const engine::Record& record, const RecordProblem& problem,
                                     StepBefore before = StepBefore::kHelps);

/// What a `where` makes of a record without a value.
enum class NoValue {
  kJudged,  ///< as any other
  kPasses,  ///< it deletes a row of a table, unless the condition is not true whatever its fields
};
/// Keeps the records for which the expression is true; false and null drop a record.
engine::Factory<engine::Operator> make_where(std::string step, Expression condition,
                                             NoValue no_value = NoValue::kJudged);

struct Assignment {
  std::string path;  ///< `$.a.b`
  Expression expression;
};
/// Sets fields of a JSON object and keeps the others as they are written; all expressions see the
/// record as it came. A null value stays null. Refused: a path into what is not an object or list.
engine::Factory<engine::Operator> make_set(std::string step, std::vector<Assignment> assignments);

enum class NullKey { kAllowed, kRefused };
/// Sets the key: one expression's value as text (null: no key), or several as a JSON array.
engine::Factory<engine::Operator> make_key(std::string step, std::vector<Expression> expressions,
                                           NullKey null_key);

engine::Factory<engine::Projection> make_projection(std::string step,
                                                    std::vector<ProjectedColumn> columns,
                                                    StepBefore before = StepBefore::kHelps);

/// Refuses what a later stage would: evaluates its columns and keeps nothing of them. `check` (may
/// be empty) judges the value of each column by its index; the error says what is wrong, and after
/// a semicolon the fix. What it needs for that it may put into `arena`.
using ColumnCheck =
    std::function<Status(std::size_t column, const Value& value, engine::Arena& arena)>;
engine::Factory<engine::Operator> make_guard(std::string step, std::vector<ProjectedColumn> columns,
                                             ColumnCheck check);

}  // namespace onceflow::pipeline
