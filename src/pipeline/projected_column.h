// ProjectedColumn: a column that is computed of each record, and what of the values it takes.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "base/value.h"
#include "engine/record.h"
#include "pipeline/expression.h"
#include "pipeline/record_problem.h"

namespace onceflow::pipeline {

/// What the texts of a column must be.
enum class TextRule : std::uint8_t {
  kAnyBytes,         ///< whatever came
  kUtf8,             ///< what readers of SQLite expect
  kUtf8WithoutZero,  ///< what PostgreSQL can hold: UTF-8 without U+0000
};

struct ProjectedColumn {
  std::string name;
  Expression expression;
  /// The values are made to fit this type or refused; nullopt: as they come.
  std::optional<ColumnType> type;
  TextRule text_rule = TextRule::kAnyBytes;
  /// It tells rows apart: as text, 7 and "7" would be one.
  bool is_key = false;
  /// It is the argument of an aggregate, in no table: no other type of it helps.
  bool is_argument = false;
};

/// The column of that expression as it stands in a sink's `columns`, ready to be typed. Text is the
/// type of those that name none.
std::string line_of(const ProjectedColumn& column, std::string_view expression);

/// Columns of these are computed as ColumnForm::kDocument.
constexpr bool is_json(std::optional<ColumnType> type) {
  return type == ColumnType::kJson || type == ColumnType::kJsonb;
}

/// The value as the column has it, in the one form that is hashed and written; its text is copied
/// into the arena. Or why the column does not take it.
std::expected<Value, RecordProblem> fit_column(const ProjectedColumn& column, const Value& value,
                                               engine::Arena& arena);

}  // namespace onceflow::pipeline
