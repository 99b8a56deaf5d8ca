// The SQL functions of expressions that compute with numbers (expression_functions.h says why they
// are ours): arithmetic, exact or with doubles, bits, and comparison.
#pragma once

#include <string_view>

struct sqlite3;

namespace onceflow::pipeline {

/// Letters of conversions_of() for which printf() takes a double.
inline constexpr std::string_view kDoubleConversions = "eEfgG";

struct EvaluationContext;

bool register_number_functions(sqlite3* database, EvaluationContext& context);

}  // namespace onceflow::pipeline
