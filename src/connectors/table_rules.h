// What a sink asks of the user's table, whichever database holds it, and the SQL that is the same
// in all of them but for the dialect. Stateless.
#pragma once

#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "connectors/sink.h"

namespace onceflow::connectors {

/// How a database writes names and types.
struct SqlDialect {
  std::string (*quote)(std::string_view name);
  std::string (*quote_table)(std::string_view table);
  std::string_view (*declared_type)(ColumnType type);
  bool changes_types = true;  ///< ALTER TABLE can give a column another type
};

/// A column that the table has.
struct ExistingColumn {
  std::string name;
  std::string declaration;        ///< as the user knows it
  std::vector<ColumnType> keeps;  ///< values of these come back as they were written
  bool is_needed = false;         ///< not null, and no default
  /// Why it keeps nothing, and what mends that, where a type alone does not tell.
  std::string rule{};
  std::string fix{};
};

/// kRefused, with what is wrong with the table, the rule and the fix.
std::unexpected<Error> refuse(const SinkTable& table, std::string_view what, std::string_view rule,
                              std::string_view fix);
/// All columns that the sink writes are there and keep what is written; no other one is needed.
Status check_columns(const SinkTable& table, const SqlDialect& dialect,
                     std::span<const ExistingColumn> existing);

/// Makes it one that takes no value; `to_ordinary`: the statements that make it one that does.
void refuse_generated(ExistingColumn& column, const SinkTable& table, std::string_view to_ordinary);

/// A query: a key that several rows share, as a text, of the first million of rows; no row: none.
/// Where there is one, no unique index can be made.
std::string shared_key_sql(const SinkTable& table, const SqlDialect& dialect);
/// For an upsert into a table that has no unique key like the sink's. `create_index`: the statement
/// that makes one; `shared`: what shared_key_sql() has found, empty: nothing.
std::unexpected<Error> refuse_without_unique_key(const SinkTable& table, const SqlDialect& dialect,
                                                 std::string_view what,
                                                 std::string_view create_index,
                                                 std::string_view shared);

/// Of a row that was written and is not there under its key: what, rule and fix.
std::string row_is_elsewhere(std::string_view triggers);

/// Quoted, in the table's order.
std::vector<std::string> key_columns(const SinkTable& table, const SqlDialect& dialect);
std::string create_table_sql(const SinkTable& table, const SqlDialect& dialect);

}  // namespace onceflow::connectors
