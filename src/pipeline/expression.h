// Expression: SQL over one record, computed by SQLite. Fields of a JSON value are written
// `$.name`, `$.a.b[0]`, `$."odd name"`; the names value, key, topic, partition, offset and
// timestamp stand for the record itself. What is allowed is checked before anything starts: by a
// tokenizer whose messages are for people, and by SQLite's authorizer, which is what enforces it.
// What numbers, text, null and the rest mean in it is in docs/values.md.
//
// An expression is a pure function of the record: no clock, no chance, no table, no state. It may
// be evaluated any number of times for one record and must yield the same each time (STG-1).
//
// Owned by an operator or projection of a worker; used on the worker's thread only.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/value.h"
#include "engine/record.h"
#include "pipeline/record_problem.h"

namespace onceflow::pipeline {

/// What is wrong with an expression, for a person: where, the rule, and the fix.
struct ExpressionError {
  std::size_t column = 1;  ///< 1-based, in the text of the expression
  std::string what;
  std::string rule;
  std::string fix;
};

/// What of a record an expression may use by name.
enum class RecordPart : std::uint8_t { kValue, kKey, kTopic, kPartition, kOffset, kTimestamp };
inline constexpr std::array<std::string_view, 6> kRecordParts = {
    "value", "key", "topic", "partition", "offset", "timestamp"};

/// A field that an expression reads, wherever it stands in it.
struct FieldUse {
  std::string path;
  std::size_t column = 1;  ///< as of an ExpressionError
};

/// How `+`, `-`, `*` and round() compute: as SQL does, with doubles where not all numbers are
/// integers, or by their digits.
enum class Numbers : std::uint8_t { kSql, kExact };

/// An expression that SQLite has accepted.
struct Expression {
  std::string text;  ///< as the user wrote it
  /// The same for a Program: over the parameters of the record, fields read by a function that
  /// says what is wrong with them, `and` and `or` in order.
  std::string sql;
  /// The same over fields that are read already, each a parameter named after its path.
  std::string fast_sql;
  /// It yields a truth or a number, never text: it may stand where a condition belongs.
  bool is_condition = false;
  /// A field or a part of the record alone: nothing is computed, so all of it passes.
  std::optional<std::string> path;
  std::optional<RecordPart> part;
  /// The type of its values where the text alone tells it: names, casts and literals.
  std::optional<ColumnType> type;
  /// `$.a.region` alone: "region".
  std::optional<std::string> field_name;
  /// Every field of the value, `value ->> 'name'` and its like among them.
  std::vector<FieldUse> fields;
};

/// Checks and translates. `text` is one SQL expression, at most 4,096 bytes. An exact one is for a
/// value of `type: decimal`.
std::expected<Expression, ExpressionError> check_expression(std::string_view text,
                                                            Numbers numbers = Numbers::kSql);

/// What is wanted of an expression: its value; its value as JSON, in which lists and objects are
/// themselves; whether it is true; or the JSON document that it names: a field with all that is in
/// it, true and false too, and `value` and `key` as they are; JSON null is null.
enum class ColumnForm { kValue, kJson, kTruth, kDocument };

struct ProgramColumn {
  Expression expression;
  ColumnForm form = ColumnForm::kValue;
};

/// How a Program evaluates; the thorough way alone is for tests, which compare the two.
enum class Evaluator { kFastWhereSure, kThoroughOnly };

/// Computes several columns over a record at once, so that its JSON is read once: by a fast reader
/// where that is sure to read it as the thorough one would, else by the thorough one.
class Program {
 public:
  static Result<std::unique_ptr<Program>> prepare(std::vector<ProgramColumn> columns,
                                                  Evaluator evaluator = Evaluator::kFastWhereSure);
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  /// Evaluates all columns.
  std::expected<void, RecordProblem> run(const TopicPartition& source,
                                         const engine::Record& record);
  /// Of the last run; text is a view that is valid until the next one, and no longer than the
  /// record. A problem: a blob, which no value of ours is.
  std::expected<Value, RecordProblem> column(std::size_t index) const;
  /// Of the last run, a field alone: its value is the JSON of a list or an object.
  bool is_json(std::size_t index) const;
  /// Of the last run: a column of form kTruth.
  bool is_true(std::size_t index) const;

 private:
  struct State;
  explicit Program(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// An integer in decimal, a real in the fewest digits that read back as the same, a decimal by its
/// digits, text as it is; the result lives in the arena or where the value's text lives. Null is
/// the caller's business.
std::string_view render_text(const Value& value, engine::Arena& arena);

}  // namespace onceflow::pipeline
