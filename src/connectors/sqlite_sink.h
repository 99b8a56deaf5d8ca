// The SQLite sink: rows, positions and receipt in one transaction of one database file, in WAL mode
// with synchronous=FULL. The tables are drawn in docs/sinks.md.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "connectors/sink.h"
#include "io/environment.h"

namespace onceflow::connectors {

struct SqliteSinkOptions {
  std::string file;
  /// How long to wait for another process's transaction on the same file.
  milliseconds busy_timeout{10'000};
};

/// Opens nothing yet: the first claim does. The sink has a thread of its own for SQLite's calls.
Result<std::unique_ptr<Sink>> make_sqlite_sink(io::Environment environment,
                                               SqliteSinkOptions options, SinkTable table);

}  // namespace onceflow::connectors
