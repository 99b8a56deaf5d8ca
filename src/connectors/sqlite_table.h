// The user's table in SQLite: how it is created, what of an existing one is checked, and the
// statements that write it.
#pragma once

#include <string>

#include "base/result.h"
#include "connectors/sink.h"
#include "connectors/sqlite_connection.h"

namespace onceflow::connectors {

enum class TableState { kCreated, kExisting };

/// Creates the table if it is missing; else checks that its columns fit. kRefused, with column,
/// rule and fix, if they do not.
Result<TableState> ensure_sqlite_table(SqliteConnection& connection, const SinkTable& table);

/// Parameters: the columns in the table's order, then onceflow_source.
std::string sqlite_write_row_sql(const SinkTable& table);
/// Parameters: the key columns in the table's order.
std::string sqlite_delete_row_sql(const SinkTable& table);

}  // namespace onceflow::connectors
