#include "connectors/postgres_sink.h"

#include <fmt/format.h>
#include <libpq-fe.h>

#include <map>

#include "connectors/blocking_sink.h"
#include "connectors/postgres_store.h"

namespace onceflow::connectors {

std::string name_postgres_database(const std::string& dsn) {
  PQconninfoOption* const parsed = PQconninfoParse(dsn.c_str(), nullptr);
  if (parsed == nullptr) {
    return dsn;
  }
  std::map<std::string, std::string> given = {{"port", "5432"}};
  for (const PQconninfoOption* option = parsed; option->keyword != nullptr; ++option) {
    if (option->val != nullptr && *option->val != '\0') {
      given[option->keyword] = option->val;
    }
  }
  PQconninfoFree(parsed);
  const std::string host = given.contains("host") ? given["host"] : given["hostaddr"];
  const std::string name = given.contains("dbname") ? given["dbname"] : given["user"];
  return fmt::format("{}:{}/{}", host == "127.0.0.1" || host == "::1" ? "localhost" : host,
                     given["port"], name);
}

Result<std::unique_ptr<Sink>> make_postgres_sink(io::Environment environment,
                                                 PostgresSinkOptions options, SinkTable table) {
  auto store = std::make_unique<PostgresStore>(std::move(options), std::move(table));
  return std::make_unique<BlockingSink<PostgresStore>>(environment.scheduler, std::move(store));
}

}  // namespace onceflow::connectors
