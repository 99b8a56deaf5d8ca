// The SQL of an expression that a Program runs, in which nothing is cut, rounded or evaluated out
// of order in silence.
//
// Pure functions, used while a file is checked.
#pragma once

#include <string>

#include "pipeline/expression.h"
#include "pipeline/expression_tree.h"

namespace onceflow::pipeline {

struct EmittedSql {
  std::string thorough;       ///< as Expression::sql
  std::string fast;           ///< as Expression::fast_sql
  bool is_condition = false;  ///< as Expression::is_condition
};

EmittedSql emit_sql(const Node& root, Numbers numbers);

/// By its operator alone: a truth or a number, whatever it is about.
bool yields_no_text(const Node& node);

}  // namespace onceflow::pipeline
