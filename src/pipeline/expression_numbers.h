// The SQL functions of expressions that compute with numbers (expression_functions.h says why they
// are ours): arithmetic, exact or with doubles, bits, and comparison.
#pragma once

struct sqlite3;

namespace onceflow::pipeline {

struct EvaluationContext;

bool register_number_functions(sqlite3* database, EvaluationContext& context);

}  // namespace onceflow::pipeline
