// What a user of PostgreSQL may not do and a sink needs: told as the statements that grant it.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "connectors/postgres_connection.h"
#include "connectors/sink.h"

namespace onceflow::connectors {

/// A GRANT each for schemas, tables and sequences, in the order in which they are needed; empty if
/// nothing is known to be missing. Not within a transaction that has failed. What a right on
/// columns alone allows counts as allowed.
Result<std::vector<std::string>> missing_grants(PostgresConnection& connection,
                                                const SinkTable& table);

/// kRefused, with the GRANT: one of the tables is in a schema that the user may not use, where a
/// search for its name passes it over, and another one would be made.
Status check_visible(PostgresConnection& connection, const SinkTable& table);

/// kRefused, with the GRANT: ids of new receipts are not above those that are there, as after rows
/// that were copied back, and the user may not raise them. In a transaction.
Status check_receipt_ids(PostgresConnection& connection);

}  // namespace onceflow::connectors
