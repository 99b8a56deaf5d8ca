// STG-1 to the last row of a real PostgreSQL table; tests/postgres/run brings the server.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <libpq-fe.h>

#include <cstdlib>

#include "audit/auditor.h"
#include "audit/memory_log_testing.h"
#include "base/record_hash.h"

namespace onceflow::audit {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class PostgresAuditTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* dsn = std::getenv("ONCEFLOW_TEST_POSTGRES_DSN");
    if (dsn == nullptr) {
      GTEST_SKIP() << "no server; see tests/postgres/run";
    }
    dsn_ = dsn;
    connection_.reset(PQconnectdb(dsn));
    ASSERT_EQ(PQstatus(connection_.get()), CONNECTION_OK) << PQerrorMessage(connection_.get());
    execute("SET client_min_messages = warning");
    execute("DROP TABLE IF EXISTS onceflow_positions, onceflow_receipts");
    execute("DROP SCHEMA IF EXISTS sales CASCADE");
    execute("CREATE SCHEMA sales");
    execute(
        "CREATE TABLE onceflow_positions (pipeline text, stage text, topic text,"
        " partition integer, next_offset bigint, epoch bigint)");
    execute(
        "CREATE TABLE onceflow_receipts (receipt_id bigint GENERATED ALWAYS AS IDENTITY,"
        " pipeline text, stage text, receipt bytea)");
    execute(
        "CREATE TABLE sales.\"Orders\" (id bigint, amount double precision, note text,"
        " onceflow_source text)");
    log_.create("orders", 1);
    for (int index = 0; index < 4; ++index) {
      log_.append(at("orders", 0), {{"k", "v" + std::to_string(index)}});
    }
    commit();
  }

  void execute(const std::string& sql) {
    PGresult* result = PQexec(connection_.get(), sql.c_str());
    EXPECT_EQ(PQresultStatus(result), PGRES_COMMAND_OK)
        << sql << ": " << PQresultErrorMessage(result);
    PQclear(result);
  }

  void commit() {
    struct Row {
      std::int64_t id;
      Value amount;
      Value note;
      std::string sql;
    };
    const Row rows[] = {
        {1, 0.1, "a\\b'c", R"(0.1, 'a\b''c')"},
        {2, 1e300, Value(), "1e300, NULL"},
        {std::numeric_limits<std::int64_t>::min(), Value(), "", "NULL, ''"},
        {4, 1.0 / 3, "grün", "0.3333333333333333, 'grün'"},
    };
    protocol::Receipt receipt{.pipeline = "p", .stage = "rows", .worker = "w"};
    receipt.inputs.push_back(log_.read(at("orders", 0), Offset(0), Offset(4)));
    for (const Row& row : rows) {
      RowHash hash;
      hash.add("id", row.id);
      hash.add("amount", row.amount);
      hash.add("note", row.note);
      const auto offset = static_cast<std::int64_t>(receipt.rows.size());
      receipt.rows.push_back({.source_offset = Offset(offset), .row_hash = hash.finish()});
      execute(fmt::format("INSERT INTO sales.\"Orders\" VALUES ('{}', {}, 'orders/0/{}')", row.id,
                          row.sql, offset));
    }
    receipt.outputs.push_back({.name = "sales.Orders", .record_count = 4});
    std::string hex;
    for (const std::byte octet : encode_receipt(receipt)) {
      hex += fmt::format("{:02x}", static_cast<unsigned>(octet));
    }
    execute(
        fmt::format("INSERT INTO onceflow_receipts (pipeline, stage, receipt)"
                    " VALUES ('p', 'rows', '\\x{}')",
                    hex));
    execute("INSERT INTO onceflow_positions VALUES ('p', 'rows', 'orders', 0, 4, 1)");
  }

  std::vector<std::string> audit() {
    const AuditSubject subject{
        .pipeline = "p",
        .receipts_topic = "p-receipts",
        .stages = {{.id = "rows",
                    .source_topics = {"orders"},
                    .group_id = "g",
                    .table = TableSubject{.kind = TableKind::kPostgres,
                                          .location = dsn_,
                                          .table = "sales.Orders",
                                          .columns = {{"id", ColumnType::kInteger},
                                                      {"amount", ColumnType::kReal},
                                                      {"note", ColumnType::kText}}}}}};
    Auditor auditor(subject, log_, open_table, {});
    auto report = run_now(auditor.run());
    EXPECT_TRUE(report.has_value()) << report.error().text;
    std::vector<std::string> texts;
    for (const Finding& finding : report->findings.kept()) {
      texts.push_back(to_string(finding.kind) + ": " + finding.text);
    }
    return texts;
  }

  struct Close {
    void operator()(PGconn* connection) const { PQfinish(connection); }
  };
  std::string dsn_;
  std::unique_ptr<PGconn, Close> connection_;
  MemoryLog log_;
};

TEST_F(PostgresAuditTest, rows_as_written_are_clean) { EXPECT_THAT(audit(), ElementsAre()); }

TEST_F(PostgresAuditTest, a_deleted_a_doubled_and_an_altered_row_are_named) {
  execute("DELETE FROM sales.\"Orders\" WHERE id = 2");
  execute("INSERT INTO sales.\"Orders\" SELECT * FROM sales.\"Orders\" WHERE id = 1");
  execute("UPDATE sales.\"Orders\" SET amount = 0.33333333333333331 + 1e-16 WHERE id = 4");
  EXPECT_THAT(audit(),
              ElementsAre(HasSubstr("missing: table sales.Orders: the row of orders/0/1"),
                          HasSubstr("doubled: table sales.Orders: row of orders/0/0 (id=1"),
                          HasSubstr("altered: table sales.Orders: row of orders/0/3 (id=4")));
}

TEST_F(PostgresAuditTest, a_server_that_is_away_cannot_be_judged) {
  const auto table = open_table(
      {.kind = TableKind::kPostgres, .location = "postgresql://nobody@127.0.0.1:1/none"}, {});
  ASSERT_FALSE(table.has_value());
  EXPECT_EQ(table.error().text.find("nobody@"), std::string::npos);
}

}  // namespace
}  // namespace onceflow::audit
