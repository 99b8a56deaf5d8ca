// Expression: SQL over one record, evaluated by SQLite. Fields of a JSON value are written
// `$.name`,
// `$.a.b[0]`, `$."odd name"`; the names value, key, topic, partition, offset and timestamp stand
// for the record itself. What is allowed is checked before anything starts: by a tokenizer whose
// messages are for people, and by SQLite's authorizer, which is what enforces it.
//
// An expression is a pure function of the record: no clock, no chance, no table, no state. It may
// be evaluated any number of times for one record and must yield the same each time (STG-1).
//
// Owned by an operator or projection of a worker; used on the worker's thread only.
#pragma once

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

namespace onceflow::pipeline {

/// What is wrong with an expression, for a person: where, the rule, and the fix.
struct ExpressionError {
  std::size_t column = 1;  ///< 1-based, in the text of the expression
  std::string what;
  std::string rule;
  std::string fix;
};

/// An expression that SQLite has accepted.
struct Expression {
  std::string text;  ///< as the user wrote it
  std::string sql;   ///< the same over the parameters of a Program
  /// The same with each field as a parameter named after its path, for a reader of JSON that is
  /// faster than SQLite; empty where SQLite's own JSON functions see the document.
  std::string fast_sql;
  /// The type of its values where the text alone tells it: names, casts and literals.
  std::optional<ColumnType> type;
  /// `$.a.region` alone: "region".
  std::optional<std::string> field_name;
};

/// Checks and translates. `text` is one SQL expression, at most 4,096 bytes.
std::expected<Expression, ExpressionError> check_expression(std::string_view text);

/// A column of a Program: SQL over the parameters of Expression::sql, and of Expression::fast_sql.
struct ColumnSql {
  std::string sql;
  std::string fast_sql;
};

/// Computes several columns over a record at once, so that its JSON is parsed once: by JsonFields
/// if all columns allow it and the document is plain, else by SQLite, with the same results.
class Program {
 public:
  static Result<std::unique_ptr<Program>> prepare(const std::vector<ColumnSql>& columns);
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  /// Evaluates all columns. The error says what SQLite said, without naming the record.
  Status run(const TopicPartition& source, const engine::Record& record);
  /// Of the last run; text is a view that is valid until the next one, and no longer than the
  /// record. kRefused: a blob, which no value of ours is.
  Result<Value> column(std::size_t index) const;
  /// Of the last run: SQL truth of a column computed as `(…) is true`.
  bool is_true(std::size_t index) const;

 private:
  struct State;
  explicit Program(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// An integer in decimal, a real in the fewest digits that read back as the same, text as it is;
/// the result lives in the arena or where the value's text lives. Null is the caller's business.
std::string_view render_text(const Value& value, engine::Arena& arena);

}  // namespace onceflow::pipeline
