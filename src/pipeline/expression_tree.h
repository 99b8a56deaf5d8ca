// The tree of an expression: what its tokens mean by SQL's precedence, and the SQL that a Program
// runs, in which nothing is cut, rounded or evaluated out of order in silence.
//
// Pure functions, used while a file is checked.
#pragma once

#include <expected>
#include <string>
#include <vector>

#include "pipeline/expression.h"
#include "pipeline/expression_text.h"

namespace onceflow::pipeline {

struct EmittedSql {
  std::string thorough;       ///< as Expression::sql
  std::string fast;           ///< as Expression::fast_sql
  bool is_condition = false;  ///< as Expression::is_condition
};

/// `tokens` are those of an expression that SQLite has accepted.
std::expected<EmittedSql, ExpressionError> emit_sql(const std::vector<Token>& tokens);

}  // namespace onceflow::pipeline
