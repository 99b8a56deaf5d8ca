// The user's table in PostgreSQL: how it is created, what of an existing one is checked, and the
// statements that write it.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "connectors/postgres_connection.h"
#include "connectors/sink.h"

namespace onceflow::connectors {

struct PostgresTable {
  bool was_created = false;
  /// By column of SinkTable, and for kSourceColumn at the end: the table's own types.
  std::vector<PostgresType> types;
};

/// Creates the table if it is missing; else checks that its columns fit. kRefused, with column,
/// rule and fix, if they do not.
Result<PostgresTable> ensure_postgres_table(PostgresConnection& connection, const SinkTable& table);

/// What an Error is made of: a lost connection is retriable, so are deadlocks and full servers; a
/// statement that the server does not take is refused.
Error to_error(const PostgresFailure& failure);

/// For an upsert into a table that has no unique key like the sink's: what, rule and fix.
std::string unique_key_needed(const SinkTable& table, std::string_view what);

/// COPY … FROM STDIN of the columns in the table's order, then onceflow_source.
std::string postgres_copy_sql(const SinkTable& table);
/// Parameters: one array a column in the table's order, then onceflow_source.
std::string postgres_upsert_sql(const SinkTable& table);
/// Parameters: one array a key column in the table's order.
std::string postgres_delete_sql(const SinkTable& table);

/// The type in which a column's values travel in arrays.
PostgresType array_element_type(ColumnType type);

}  // namespace onceflow::connectors
