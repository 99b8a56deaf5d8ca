// What the SQL functions of expressions share: arguments and results of SQLite as values of ours,
// and refusals with their rule and fix.
#pragma once

#include <sqlite3.h>

#include <span>
#include <string>
#include <string_view>

#include "base/json_document.h"
#include "base/value.h"
#include "pipeline/expression_functions.h"
#include "pipeline/json_fields.h"

namespace onceflow::pipeline {

/// Marks of text (SQLite's subtypes): it is JSON, as SQLite's own functions mark it; it is the
/// digits of a Decimal.
inline constexpr unsigned kJsonMark = 'J';
inline constexpr unsigned kDigitsMark = 'D';

struct SqlFunction {
  const char* name;
  int argument_count;  ///< -1: any
  void (*call)(sqlite3_context*, int, sqlite3_value**);
};
/// False: no memory.
bool register_all(sqlite3* database, EvaluationContext& context,
                  std::span<const SqlFunction> functions);

EvaluationContext& context_of(sqlite3_context* call);
/// Ends the call, and with it the evaluation of the record.
void refuse(sqlite3_context* call, RecordProblem problem);

std::string_view text_of(sqlite3_value* value);
/// As SQLite sees it, but for marked digits, which are a Decimal.
Value value_of(sqlite3_value* value);
/// A Decimal becomes marked digits.
void return_value(sqlite3_context* call, const Value& value, bool is_json = false);

/// Appends the value as JSON. False, having refused: infinite, not UTF-8, or a blob.
bool append_json(sqlite3_context* call, std::string& json, sqlite3_value* value);

/// The path that an argument names; it lives until the next one is asked for. nullptr, having
/// refused: it is not a path.
const JsonPath* path_argument(sqlite3_context* call, sqlite3_value* value);

/// Why a Decimal stops at a function that computes; `name` is the field's or the function's.
RecordProblem beyond_computing(std::string_view name, std::string_view digits);

}  // namespace onceflow::pipeline
