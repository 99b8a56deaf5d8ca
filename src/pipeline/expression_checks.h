// What an expression must not say although SQLite would take it: what is null or without effect for
// every record, asks for a clock, or rounds where digits were asked for.
//
// Pure functions, used while a file is checked.
#pragma once

#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "pipeline/expression.h"
#include "pipeline/expression_tree.h"

namespace onceflow::pipeline {

/// What is wrong, if anything is. `is_null` evaluates SQL without parameters.
std::optional<ExpressionError> check_tree(const Node& root, Numbers numbers,
                                          const std::function<bool(std::string_view sql)>& is_null);

/// Whether an accepted expression of SQL's numbers may round: it computes, with doubles where not
/// all numbers are integers, and no `cast(… as real)` says that it is meant.
bool may_round(std::string_view expression);

/// As Expression::fields.
std::vector<FieldUse> fields_of(const Node& root);

}  // namespace onceflow::pipeline
