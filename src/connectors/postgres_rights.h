// What a user of PostgreSQL may not do and a sink needs: told as the statements that grant it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "connectors/postgres_connection.h"
#include "connectors/sink.h"

namespace onceflow::connectors {

/// What is done to the tables of a sink; onceflow_positions is read, written and changed by all.
struct NeededRights {
  std::vector<std::string_view> on_table;
  std::vector<std::string_view> on_receipts;
  bool makes_temporary_tables = false;
};
NeededRights rights_to_write(const SinkTable& table);

/// A GRANT each for schemas, tables and sequences, in the order in which they are needed, then what
/// makes rows visible that row-level security hides; empty if nothing is known to be missing. Not
/// within a transaction that has failed. What a right on columns alone allows counts as allowed.
Result<std::vector<std::string>> missing_grants(PostgresConnection& connection,
                                                const SinkTable& table, const NeededRights& needed);
/// A failure for which a right is missing, with all that mends it. Rolls back.
PostgresFailure with_grants(PostgresConnection& connection, const SinkTable& table,
                            const NeededRights& needed, PostgresFailure failure);
/// The same for the error that came of the server's last refusal; any other stays as it is.
void add_grants(PostgresConnection& connection, const SinkTable& table, const NeededRights& needed,
                Error& error);

/// kRefused, with the GRANT: one of the tables is in a schema that the user may not use, where a
/// search for its name passes it over, and another one would be made.
Status check_visible(PostgresConnection& connection, const SinkTable& table);

/// kRefused, with the GRANT: ids of new receipts are not above those that are there, as after rows
/// that were copied back, and the user may not raise them. In a transaction.
Status check_receipt_ids(PostgresConnection& connection);

}  // namespace onceflow::connectors
