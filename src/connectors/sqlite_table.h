// The user's table in SQLite: how it is created, what of an existing one is checked, and the
// statements that write it.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "connectors/sink.h"
#include "connectors/sqlite_connection.h"

namespace onceflow::connectors {

enum class TableState { kCreated, kExisting };

/// Creates the table if it is missing; else checks that its columns fit. kRefused, with column,
/// rule and fix, if they do not.
Result<TableState> ensure_sqlite_table(SqliteConnection& connection, const SinkTable& table);

/// What a sink must know of the table again if it has changed.
struct SqliteShape {
  std::int64_t schema_version = 0;  ///< of the whole file: it changes with any table's
  std::string definition;           ///< of the table, its indexes and triggers
};

/// `known` itself if nothing in the file has changed since it was read.
Result<SqliteShape> read_sqlite_shape(SqliteConnection& connection, const SinkTable& table,
                                      const SqliteShape& known);

/// Whether keys that differ in their bytes are different keys of the table, too; not so under a
/// collation like NOCASE.
Result<bool> sqlite_keys_differ_by_bytes(SqliteConnection& connection, const SinkTable& table);

/// Of foreign keys of the table or to it: SQLite applies none to a connection that does not ask for
/// it, and the sink's does not. For people; empty: there are none.
Result<std::string> remark_on_foreign_keys(SqliteConnection& connection, const SinkTable& table);

/// The column for which SQLite makes up a number where a row gives null: an INTEGER PRIMARY KEY,
/// which is another name of the rowid. Empty: the table has none.
Result<std::string> sqlite_rowid_column(SqliteConnection& connection, const SinkTable& table);

/// Whether a constraint of the table says what is to become of a row that breaks it: to drop it,
/// to drop the other row, or to change it.
Result<bool> sqlite_has_conflict_clause(SqliteConnection& connection, const SinkTable& table);

/// Those of the table, as it names them; empty: it has none.
Result<std::string> sqlite_triggers(SqliteConnection& connection, const SinkTable& table);

struct SqliteWriting {
  /// An upsert writes the key columns of a row that is there, too, so that the row is the last
  /// record's.
  bool writes_keys = false;
  /// A broken constraint is an error, whatever the table says. It says so to triggers as well.
  bool overrides_conflict_clauses = false;
};

/// Parameters: the columns in the table's order, then onceflow_source.
std::string sqlite_write_row_sql(const SinkTable& table, SqliteWriting writing = {});
/// Parameters: the key columns in the table's order.
std::string sqlite_delete_row_sql(const SinkTable& table);
/// The same parameters; yields how many rows of the key there are.
std::string sqlite_remaining_row_sql(const SinkTable& table);
/// The parameters of sqlite_write_row_sql(); yields how many rows there are of that key and source.
std::string sqlite_in_place_sql(const SinkTable& table);

}  // namespace onceflow::connectors
