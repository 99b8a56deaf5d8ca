// The databases of the sinks' tests.
#include <cstdlib>
#include <filesystem>

#include "connectors/postgres_connection.h"
#include "connectors/postgres_sink.h"
#include "connectors/sink_world_testing.h"
#include "connectors/sqlite_connection.h"
#include "connectors/sqlite_sink.h"

namespace onceflow::connectors {
namespace {

class SqliteWorld : public SinkWorld {
 public:
  SqliteWorld() {
    std::string name = std::filesystem::temp_directory_path() / "onceflow-sqlite.XXXXXX";
    directory_ = ::mkdtemp(name.data());
  }
  ~SqliteWorld() override { std::filesystem::remove_all(directory_); }

  std::unique_ptr<Sink> make_sink(io::Environment environment, SinkTable table) override {
    return std::move(*make_sqlite_sink(environment, {.file = file()}, std::move(table)));
  }

  std::string query(const std::string& sql) override {
    auto connection = SqliteConnection::open(file(), seconds(10));
    EXPECT_TRUE(connection.has_value());
    auto statement = (*connection)->prepare(sql);
    EXPECT_TRUE(statement.has_value()) << sql << ": " << (*connection)->error_text();
    std::string rows;
    while (*statement->step() == SqliteStatement::Step::kRow) {
      rows += rows.empty() ? "" : "\n";
      for (int column = 0; column < statement->column_count(); ++column) {
        rows += column == 0 ? "" : "|";
        rows += statement->is_null(column) ? "null" : std::string(statement->text(column));
      }
    }
    return rows;
  }

 private:
  std::string file() const { return directory_ + "/sink.db"; }
  std::string directory_;
};

class PostgresWorld : public SinkWorld {
 public:
  explicit PostgresWorld(std::string dsn) : dsn_(std::move(dsn)) {
    query("DROP SCHEMA public CASCADE");
    query("CREATE SCHEMA public");
  }

  std::unique_ptr<Sink> make_sink(io::Environment environment, SinkTable table) override {
    return std::move(*make_postgres_sink(environment, {.dsn = dsn_}, std::move(table)));
  }

  std::string query(const std::string& sql) override {
    auto connection = PostgresConnection::open({.dsn = dsn_});
    EXPECT_TRUE(connection.has_value()) << connection.error().text;
    auto answer = (*connection)->execute(sql);
    EXPECT_TRUE(answer.has_value()) << sql << ": " << answer.error().text;
    std::string rows;
    for (std::size_t row = 0; row < answer->row_count(); ++row) {
      rows += row == 0 ? "" : "\n";
      for (int column = 0; column < answer->column_count(); ++column) {
        rows += column == 0 ? "" : "|";
        rows += answer->is_null(row, column) ? "null" : answer->text(row, column);
      }
    }
    return rows;
  }

 private:
  std::string dsn_;
};

}  // namespace

std::unique_ptr<SinkWorld> make_sqlite_world() { return std::make_unique<SqliteWorld>(); }

std::unique_ptr<SinkWorld> make_postgres_world() {
  const char* dsn = std::getenv("ONCEFLOW_TEST_POSTGRES_DSN");
  return dsn == nullptr ? nullptr : std::make_unique<PostgresWorld>(dsn);
}

}  // namespace onceflow::connectors
