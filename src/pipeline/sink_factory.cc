#include "pipeline/sink_factory.h"

#include "base/check.h"
#include "connectors/postgres_sink.h"
#include "connectors/sqlite_sink.h"

namespace onceflow::pipeline {

std::function<Result<std::unique_ptr<connectors::Sink>>(io::Environment)> make_sink_factory(
    const SinkSpec& sink, const connectors::SinkTable& table) {
  if (sink.kind == SinkKind::kSqlite) {
    return [options = connectors::SqliteSinkOptions{.file = sink.file},
            table](io::Environment environment) {
      return connectors::make_sqlite_sink(environment, options, table);
    };
  }
  CHECK(sink.kind == SinkKind::kPostgres);
  return [options = connectors::PostgresSinkOptions{.dsn = sink.dsn},
          table](io::Environment environment) {
    return connectors::make_postgres_sink(environment, options, table);
  };
}

}  // namespace onceflow::pipeline
