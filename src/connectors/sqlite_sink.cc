#include "connectors/sqlite_sink.h"

#include "connectors/blocking_sink.h"
#include "connectors/sqlite_store.h"

namespace onceflow::connectors {

Result<std::unique_ptr<Sink>> make_sqlite_sink(io::Environment environment,
                                               SqliteSinkOptions options, SinkTable table) {
  auto store = std::make_unique<SqliteStore>(std::move(options), std::move(table));
  return std::make_unique<BlockingSink<SqliteStore>>(environment.scheduler, std::move(store));
}

}  // namespace onceflow::connectors
