// The user's table in PostgreSQL: how it is created, what of an existing one is checked, and the
// statements that write it.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "connectors/postgres_column.h"
#include "connectors/postgres_connection.h"
#include "connectors/sink.h"

namespace onceflow::connectors {

struct PostgresTable {
  bool was_created = false;
  std::string id;  ///< its oid: another table of its name has another one
  /// By column of SinkTable, and for kSourceColumn at the end: the table's own.
  std::vector<PostgresColumn> columns;
  /// What the catalog says of it and of our tables; see postgres_shape_sql().
  std::string shape;
  /// Whether keys that differ in their bytes are different keys of the table, too. Not so under a
  /// collation that ignores case, in types that write one value in several ways, or where a trigger
  /// may change the key.
  bool keys_differ_by_bytes = true;
  /// Of it and its partitions, those that an upsert fires: their names, for people.
  std::string triggers{};
};

/// Creates the table if it is missing; else checks that its columns fit. kRefused, with column,
/// rule and fix, if they do not.
Result<PostgresTable> ensure_postgres_table(PostgresConnection& connection, const SinkTable& table);

/// What a failure in a claim means to the caller, as postgres_errors.h classes it.
Error to_error(const PostgresFailure& failure);

/// An expression that yields a text, which differs when the columns or the triggers of the table
/// have changed, the table or one of ours is another one, or a crash of the server would empty one
/// of them or a partition, or another server keeps it. `parameter` ("$4") is the table's name as
/// `postgres_table_name` writes it.
std::string postgres_shape_sql(std::string_view parameter);
/// Quoted; `schema.table` names a table in a schema.
std::string postgres_table_name(const SinkTable& table);
/// The beginning of a statement: ALTER TABLE "t" ALTER COLUMN "c".
std::string postgres_alter_column(const SinkTable& table, std::string_view name);

/// For an upsert into a table that has no unique key like the sink's: what, rule and fix. Looks at
/// the rows; the transaction is of no use where that fails.
std::unexpected<Error> refuse_without_unique_key(PostgresConnection& connection,
                                                 const SinkTable& table, std::string_view what);

/// COPY … FROM STDIN of the columns in the table's order, then onceflow_source.
std::string postgres_copy_sql(const SinkTable& table);
/// Parameters: one array a column in the table's order, then onceflow_source. `writes_keys`: the
/// key columns of a row that is there are written, too, so that the row is the last record's.
std::string postgres_upsert_sql(const SinkTable& table, const PostgresTable& written,
                                bool writes_keys);
/// Parameters: one array a key column in the table's order.
std::string postgres_delete_sql(const SinkTable& table, const PostgresTable& written);
/// The same parameters; yields how many rows of these keys there are.
std::string postgres_remaining_sql(const SinkTable& table, const PostgresTable& written);
/// The parameters of postgres_upsert_sql(); yields how many of these rows are there under their
/// keys. Fewer than were written: a trigger has made others of them.
std::string postgres_in_place_sql(const SinkTable& table, const PostgresTable& written);

/// The type in which a column's values travel in arrays.
PostgresType array_element_type(ColumnType type);

}  // namespace onceflow::connectors
