// SQLite's JSON functions, done over for expressions (expression_functions.h says why).
#pragma once

struct sqlite3;

namespace onceflow::pipeline {

struct EvaluationContext;

bool register_json_functions(sqlite3* database, EvaluationContext& context);

}  // namespace onceflow::pipeline
