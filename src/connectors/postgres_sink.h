// The PostgreSQL sink: rows, positions and receipt in one transaction, through libpq. Appends go by
// COPY BINARY, upserts by unnest … ON CONFLICT. The tables are drawn in docs/sinks.md.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "connectors/sink.h"
#include "io/environment.h"

namespace onceflow::connectors {

struct PostgresSinkOptions {
  /// A connection string or URI as libpq takes it. A secret: never shown.
  std::string dsn;
  milliseconds connect_timeout{5'000};
  /// For one statement, and for waiting on a lock that another session holds.
  milliseconds statement_timeout{30'000};
  milliseconds lock_timeout{10'000};
  /// How long a session of ours that has stopped in the middle of a transaction may hold its locks:
  /// a paused zombie blocks the next claim no longer than this.
  milliseconds idle_in_transaction_timeout{10'000};
};

/// The same for two connection strings that lead to one database, as far as they tell: its hosts,
/// ports and name, defaults filled in. What is none stands as it is; it may be a secret.
std::string name_postgres_database(const std::string& dsn);

/// Connects to nothing yet: the first claim does. The sink has a thread of its own for libpq's
/// calls.
Result<std::unique_ptr<Sink>> make_postgres_sink(io::Environment environment,
                                                 PostgresSinkOptions options, SinkTable table);

}  // namespace onceflow::connectors
