// Operators and projections of a pipeline file: SQL over the records of a chunk. Each factory makes
// one for one worker; what it makes is used on that worker's thread only.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/topology.h"
#include "pipeline/expression.h"

namespace onceflow::pipeline {

/// Keeps the records for which the expression is true; false and null drop a record.
engine::Factory<engine::Operator> make_where(std::string step, Expression condition);

struct Assignment {
  std::string path;  ///< `$.a.b`
  Expression expression;
};
/// Sets fields of a JSON object and keeps the others; all expressions see the record as it came.
/// A null value stays null.
engine::Factory<engine::Operator> make_set(std::string step, std::vector<Assignment> assignments);

enum class NullKey { kAllowed, kRefused };
/// Sets the key: one expression's value as text (null: no key), or several as a JSON array.
engine::Factory<engine::Operator> make_key(std::string step, std::vector<Expression> expressions,
                                           NullKey null_key);

struct ProjectedColumn {
  std::string name;
  Expression expression;
  /// The values are made to fit this type or refused; nullopt: as they come.
  std::optional<ColumnType> type;
};
engine::Factory<engine::Projection> make_projection(std::string step,
                                                    std::vector<ProjectedColumn> columns);

}  // namespace onceflow::pipeline
