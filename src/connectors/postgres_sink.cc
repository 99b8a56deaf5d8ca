#include "connectors/postgres_sink.h"

#include "connectors/blocking_sink.h"
#include "connectors/postgres_store.h"

namespace onceflow::connectors {

Result<std::unique_ptr<Sink>> make_postgres_sink(io::Environment environment,
                                                 PostgresSinkOptions options, SinkTable table) {
  auto store = std::make_unique<PostgresStore>(std::move(options), std::move(table));
  return std::make_unique<BlockingSink<PostgresStore>>(environment.scheduler, std::move(store));
}

}  // namespace onceflow::connectors
