// The SQL functions of expressions that are ours: fields of the record, exact arithmetic and
// comparison, `and` and `or` in order, and SQLite's JSON functions done over, so that names are
// JSON strings, text is whole and numbers keep their digits wherever JSON is read or written.
//
// A number that SQLite cannot hold travels between them as text that is marked; no function of
// SQLite's own ever gets one.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_document.h"
#include "engine/record.h"
#include "pipeline/record_problem.h"

struct sqlite3;

namespace onceflow::pipeline {

/// What the functions of one Program see and leave; owned by it.
struct EvaluationContext {
  const engine::Record* record = nullptr;
  /// Of the record's value, once some field was asked for.
  JsonDocument document;
  bool is_read = false;
  std::optional<JsonDocument::Problem> problem_of_document;
  /// Set by the function that refused.
  std::optional<RecordProblem> problem;
  /// Paths that functions were given, parsed.
  std::map<std::string, JsonPath, std::less<>> paths;
  /// By slot: whether an operand of this `and` or `or` was null.
  std::vector<bool> saw_null;

  void begin(const engine::Record& next) {
    record = &next;
    is_read = false;
    problem.reset();
  }
  /// The document of a record that has a value; nullptr, and `problem`, if it is malformed.
  const JsonDocument* read_document();
};

/// Every function of a database of expressions that is not SQLite's own. False: no memory.
bool register_functions(sqlite3* database, EvaluationContext& context);

/// Beginning of the names that only translated expressions call.
inline constexpr std::string_view kOwnFunctionPrefix = "onceflow_";

/// Those of SQLite's that read their texts by characters, and compare these.
inline bool matches_characters(std::string_view user) { return user == "like" || user == "glob"; }
/// U+FFFE and what is after it begins with such a byte; so do a few others.
inline bool may_have_noncharacters(std::string_view text) {
  return std::ranges::any_of(text,
                             [](char byte) { return static_cast<unsigned char>(byte) >= 0xef; });
}

}  // namespace onceflow::pipeline
