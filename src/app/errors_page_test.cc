// docs/errors.md says of every error of another system what it means here. Its tables are printed
// from the tables that decide; this test fails if they differ, and prints them anew with
//   ONCEFLOW_WRITE_ERRORS_PAGE=1 build/release/app_test --gtest_filter='ErrorsPage.*'
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "client/broker_error.h"
#include "connectors/postgres_errors.h"
#include "connectors/sqlite_errors.h"

namespace onceflow {
namespace {

constexpr std::string_view kHead = "| code | meaning | class | fix |\n|---|---|---|---|\n";

std::string postgres_table() {
  std::string table(kHead);
  for (const connectors::PostgresErrorRule& rule : connectors::postgres_error_rules()) {
    table += fmt::format("| `{}{}` | {} | {} | {} |\n", rule.sqlstate,
                         rule.sqlstate.size() < 5 ? "…" : "", rule.meaning,
                         to_string(rule.error_class), rule.fix);
  }
  return table;
}

std::string sqlite_table() {
  std::string table(kHead);
  for (const connectors::SqliteErrorRule& rule : connectors::sqlite_error_rules()) {
    table += fmt::format("| `{}` | {} | {} | {} |\n", rule.name, rule.meaning,
                         to_string(rule.error_class), rule.fix);
  }
  return table;
}

std::string kafka_table() {
  std::string table(kHead);
  for (const client::BrokerErrorRule& rule : client::broker_error_rules()) {
    table += fmt::format("| {} `{}` | {} | {} | {} |\n", static_cast<int>(rule.broker_code),
                         protocol::to_string(rule.broker_code), rule.meaning,
                         to_string(rule.error_class), rule.fix);
  }
  return table;
}

// The repository, above wherever the test runs.
std::filesystem::path page_path() {
  for (std::filesystem::path at = std::filesystem::current_path(); at != at.root_path();
       at = at.parent_path()) {
    if (std::filesystem::exists(at / "docs" / "errors.md")) {
      return at / "docs" / "errors.md";
    }
  }
  return {};
}

std::string read_file(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

// The page with the table after "<!-- table: NAME -->" replaced, up to the empty line after it.
std::string with_table(std::string page, std::string_view name, const std::string& table) {
  const std::string mark = fmt::format("<!-- table: {} -->\n", name);
  const std::size_t begin = page.find(mark);
  EXPECT_NE(begin, std::string::npos) << mark;
  const std::size_t end = page.find("\n\n", begin);
  return page.replace(begin, end == std::string::npos ? end : end + 1 - begin, mark + table);
}

TEST(ErrorsPage, says_what_the_tables_that_decide_say) {
  const std::filesystem::path path = page_path();
  ASSERT_FALSE(path.empty()) << "docs/errors.md is not above " << std::filesystem::current_path();
  const std::string page = read_file(path);
  std::string expected = with_table(page, "PostgreSQL", postgres_table());
  expected = with_table(expected, "SQLite", sqlite_table());
  expected = with_table(expected, "Kafka", kafka_table());
  if (std::getenv("ONCEFLOW_WRITE_ERRORS_PAGE") != nullptr) {
    std::ofstream(path) << expected;
  } else {
    EXPECT_EQ(page, expected) << "print it anew, as the head of this test says";
  }
}

TEST(ErrorsPage, every_code_of_the_kafka_protocol_has_a_row) {
  for (int code = -1; code < 200; ++code) {
    const auto broker_code = static_cast<protocol::ErrorCode>(code);
    const bool is_known = protocol::to_string(broker_code) != "UNKNOWN_ERROR_CODE";
    const Error error = client::broker_error(broker_code, "Produce");
    if (!is_known) {
      EXPECT_TRUE(is_unclear(error)) << code;
    } else if (broker_code != protocol::ErrorCode::kNone) {
      EXPECT_EQ(error.recovery, recovery_of(client::class_of_broker_error(broker_code))) << code;
      EXPECT_FALSE(error.text.contains("does not know")) << code;
    }
  }
}

}  // namespace
}  // namespace onceflow
