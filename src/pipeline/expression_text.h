// The text of an expression: its tokens, what may stand in it, and its translation into SQL over
// the six parameters of a record. Pure functions, used while a file is checked.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/value.h"
#include "pipeline/expression.h"

namespace onceflow::pipeline {

enum class TokenKind { kText, kNumber, kPath, kWord, kSign };

struct Token {
  TokenKind kind = TokenKind::kSign;
  std::size_t begin = 0;
  std::string_view text;  ///< in the text of the expression
};

inline constexpr std::size_t kExpressionBytesMax = 4096;

struct TranslatedExpression {
  std::vector<Token> tokens;
  /// The tokens as SQLite reads them, fields as parameters: for its opinion, not to be run.
  std::string sql;
  std::optional<ColumnType> type;
  std::optional<std::string> field_name;
  std::optional<std::string> path;
  std::optional<RecordPart> part;
  /// Where each token begins: (in the SQL, in the text).
  std::vector<std::pair<std::size_t, std::size_t>> token_begins;

  /// The 1-based column in the text of what stands at this byte of the SQL.
  std::size_t column_of(std::size_t sql_offset) const;
};

/// Deterministic functions of SQLite, by their lower-case names.
bool is_allowed_function(std::string_view name);
/// Of those: it reads a time.
bool is_date_function(std::string_view name);
/// Of those: its result is a double near to what it stands for.
bool computes_with_doubles(std::string_view name);
/// A modifier of a time that means the machine's time zone.
bool asks_for_time_zone(std::string_view text);

std::expected<TranslatedExpression, ExpressionError> translate_expression(std::string_view text);

/// The name of the parameter that stands for a field in fast SQL, and the path that a name stands
/// for (nullopt: it is no field's).
std::string field_parameter(std::string_view path);
std::optional<std::string> path_of_parameter(std::string_view parameter);

/// A JSON path as in expressions (`$.a.b[0]`), with at least one step; the error says what is
/// wrong.
std::expected<std::string, ExpressionError> check_json_path(std::string_view text);

/// `$.name`, with quotes where the name needs them.
std::string path_of_name(std::string_view name);

/// In SQL's lower case.
std::string lower(std::string_view text);
/// As a literal of SQL, and what a literal stands for.
std::string sql_literal(std::string_view text);
std::string unquoted(std::string_view literal);

/// Of an argument that printf() takes for an integer, be it a width.
inline constexpr char kIntegerConversion = 'd';
/// What printf() makes of each argument after the format: kIntegerConversion, or the letter of its
/// conversion.
std::string conversions_of(std::string_view format);

}  // namespace onceflow::pipeline
