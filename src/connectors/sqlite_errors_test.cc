// Each row of the table of SQLite's codes that SQLite can be made to give, given by SQLite.
#include "connectors/sqlite_errors.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string_view>

#include "connectors/sqlite_connection.h"

namespace onceflow::connectors {
namespace {

class SqliteErrors : public testing::Test {
 public:
  SqliteErrors() {
    std::string name = std::filesystem::temp_directory_path() / "onceflow-sqlite.XXXXXX";
    directory_ = ::mkdtemp(name.data());
  }
  ~SqliteErrors() override { std::filesystem::remove_all(directory_); }

  std::string file() const { return directory_ + "/errors.db"; }
  std::unique_ptr<SqliteConnection> open() {
    return std::move(*SqliteConnection::open(file(), milliseconds(10)));
  }
  /// The statement fails with a code of this primary code, and the error is of this class.
  static void fails(SqliteConnection& connection, const std::string& sql, int primary_code,
                    ErrorClass error_class) {
    const Status status = connection.execute(sql);
    ASSERT_FALSE(status.has_value()) << sql;
    EXPECT_EQ(connection.error_code() & 0xff, primary_code) << sql << ": " << status.error().text;
    EXPECT_EQ(class_of_sqlite_code(connection.error_code()), error_class) << sql;
    EXPECT_EQ(status.error().recovery, recovery_of(error_class)) << status.error().text;
    EXPECT_TRUE(status.error().text.contains("SQLITE_")) << status.error().text;
  }

 protected:
  std::string directory_;
};

TEST_F(SqliteErrors, what_breaks_a_rule_of_the_table_is_the_records_fault) {
  const auto db = open();
  ASSERT_TRUE(db->execute("PRAGMA foreign_keys = ON; CREATE TABLE owners (id INTEGER PRIMARY KEY);"
                          "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT NOT NULL, b UNIQUE,"
                          " c CHECK (c > 0), o REFERENCES owners);"
                          "CREATE TRIGGER g BEFORE INSERT ON t WHEN new.a = 'trigger' BEGIN"
                          " SELECT RAISE(ABORT, 'not this one'); END;"
                          "INSERT INTO t VALUES (1, 'x', 1, 1, NULL);")
                  .has_value());
  for (const char* row : {"1, 'x', 2, 1, NULL", "2, NULL, 2, 1, NULL", "2, 'x', 1, 1, NULL",
                          "2, 'x', 2, 0, NULL", "2, 'x', 2, 1, 77", "2, 'trigger', 2, 1, NULL"}) {
    fails(*db, fmt::format("INSERT INTO t VALUES ({})", row), SQLITE_CONSTRAINT,
          ErrorClass::kRecord);
  }
  fails(*db, "INSERT INTO t VALUES ('text', 'x', 2, 1, NULL)", SQLITE_MISMATCH,
        ErrorClass::kRecord);
  fails(*db, "INSERT INTO t VALUES (2, zeroblob(2000000000), 2, 1, NULL)", SQLITE_TOOBIG,
        ErrorClass::kRecord);
}

TEST_F(SqliteErrors, what_others_hold_or_the_disk_lacks_passes_by_itself) {
  const auto db = open();
  const auto other = open();
  ASSERT_TRUE(db->execute("CREATE TABLE t (a)").has_value());
  ASSERT_TRUE(other->execute("BEGIN IMMEDIATE").has_value());
  fails(*db, "BEGIN IMMEDIATE", SQLITE_BUSY, ErrorClass::kPasses);
  ASSERT_TRUE(other->execute("ROLLBACK").has_value());
  ASSERT_TRUE(db->execute("PRAGMA max_page_count = 3").has_value());
  fails(*db, "INSERT INTO t VALUES (zeroblob(100000))", SQLITE_FULL, ErrorClass::kPasses);
}

TEST_F(SqliteErrors, a_table_that_is_being_read_is_locked) {
  const auto db = open();
  ASSERT_TRUE(db->execute("CREATE TABLE t (a); INSERT INTO t VALUES (1), (2)").has_value());
  auto reader = db->prepare("SELECT a FROM t");
  ASSERT_TRUE(reader.has_value());
  ASSERT_TRUE(reader->step().has_value());
  fails(*db, "DROP TABLE t", SQLITE_LOCKED, ErrorClass::kPasses);
}

TEST_F(SqliteErrors, what_a_person_must_mend_is_the_set_up) {
  const auto db = open();
  ASSERT_TRUE(db->execute("CREATE TABLE t (a)").has_value());
  fails(*db, "INSERT INTO nowhere VALUES (1)", SQLITE_ERROR, ErrorClass::kSetUp);
  fails(*db, "INSERT INTO t (b) VALUES (1)", SQLITE_ERROR, ErrorClass::kSetUp);
  ASSERT_TRUE(db->execute("PRAGMA query_only = ON").has_value());
  fails(*db, "INSERT INTO t VALUES (1)", SQLITE_READONLY, ErrorClass::kSetUp);
  const auto nowhere = SqliteConnection::open(directory_ + "/no/such.db", milliseconds(10));
  ASSERT_FALSE(nowhere.has_value());
  EXPECT_TRUE(nowhere.error().text.contains("SQLITE_CANTOPEN")) << nowhere.error().text;
  EXPECT_EQ(nowhere.error().recovery, Recovery::kFatal);
}

TEST_F(SqliteErrors, a_file_that_is_damaged_or_no_database_is_the_set_up) {
  {
    const auto db = open();
    ASSERT_TRUE(db->execute("CREATE TABLE t (a); INSERT INTO t VALUES (zeroblob(20000))"));
    ASSERT_TRUE(db->execute("PRAGMA wal_checkpoint(TRUNCATE)"));
  }
  {
    std::fstream bytes(file(), std::ios::in | std::ios::out | std::ios::binary);
    bytes.seekp(4096);
    bytes << std::string(4096, '\xff');
  }
  fails(*open(), "INSERT INTO t VALUES (1)", SQLITE_CORRUPT, ErrorClass::kSetUp);
  std::ofstream(directory_ + "/text.db") << std::string(5000, 'x');
  const auto text = SqliteConnection::open(directory_ + "/text.db", milliseconds(10));
  ASSERT_FALSE(text.has_value());
  EXPECT_TRUE(text.error().text.contains("SQLITE_NOTADB")) << text.error().text;
  EXPECT_EQ(text.error().recovery, Recovery::kFatal);
}

TEST_F(SqliteErrors, a_statement_that_is_interrupted_and_memory_that_is_short_pass_by_themselves) {
  const auto db = open();
  db->limit_steps(1);
  fails(*db,
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
        SQLITE_INTERRUPT, ErrorClass::kPasses);
  db->limit_steps(0);
  ASSERT_TRUE(db->execute("CREATE TABLE t (a)").has_value());
  const sqlite3_int64 limit = sqlite3_hard_heap_limit64(sqlite3_memory_used() + 1'000'000);
  fails(*db, "INSERT INTO t VALUES (randomblob(50000000))", SQLITE_NOMEM, ErrorClass::kPasses);
  sqlite3_hard_heap_limit64(limit);
}

TEST_F(SqliteErrors, a_file_that_was_moved_while_it_was_open_is_opened_anew) {
  const auto db = open();
  ASSERT_TRUE(db->execute("CREATE TABLE t (a); PRAGMA journal_mode = DELETE").has_value());
  std::filesystem::rename(file(), file() + ".moved");
  fails(*db, "INSERT INTO t VALUES (1)", SQLITE_READONLY, ErrorClass::kPasses);
  EXPECT_EQ(db->error_code(), SQLITE_READONLY_DBMOVED);
}

// A row of the table that no test here has SQLite give, and why.
TEST_F(SqliteErrors, every_row_is_given_by_sqlite_itself_or_is_named_here) {
  const std::map<std::string_view, std::string_view> given_or_not = {
      {"SQLITE_ERROR", ""},
      {"SQLITE_PERM", "SQLite's own layer of files never gives it"},
      {"SQLITE_BUSY", ""},
      {"SQLITE_LOCKED", ""},
      {"SQLITE_NOMEM", ""},
      {"SQLITE_READONLY", ""},
      {"SQLITE_READONLY_DBMOVED", ""},
      {"SQLITE_INTERRUPT", ""},
      {"SQLITE_IOERR", "only a disk that fails gives it"},
      {"SQLITE_CORRUPT", ""},
      {"SQLITE_FULL", ""},
      {"SQLITE_CANTOPEN", ""},
      {"SQLITE_PROTOCOL", "it takes a lock of the write-ahead log that is lost some 100 times"},
      {"SQLITE_SCHEMA", "SQLite prepares the statement again by itself, up to 50 times"},
      {"SQLITE_TOOBIG", ""},
      {"SQLITE_CONSTRAINT", ""},
      {"SQLITE_MISMATCH", ""},
      {"SQLITE_NOLFS", "it takes a system without files of 2 GiB"},
      {"SQLITE_AUTH", "it takes an authorizer, and the sink has none"},
      {"SQLITE_NOTADB", ""},
  };
  for (const SqliteErrorRule& rule : sqlite_error_rules()) {
    EXPECT_TRUE(given_or_not.contains(rule.name)) << rule.name;
  }
  EXPECT_EQ(given_or_not.size(), sqlite_error_rules().size());
}

TEST_F(SqliteErrors, a_code_that_is_not_listed_is_tried_once_more) {
  EXPECT_TRUE(is_unclear(sqlite_error(SQLITE_MISUSE, "bad")));
  EXPECT_TRUE(is_unclear(sqlite_error(4711, "bad")));
  // An extended code stands under its primary one, unless it has a row of its own.
  EXPECT_EQ(class_of_sqlite_code(SQLITE_IOERR_FSYNC), ErrorClass::kPasses);
  EXPECT_EQ(class_of_sqlite_code(SQLITE_READONLY_DBMOVED), ErrorClass::kPasses);
  EXPECT_EQ(class_of_sqlite_code(SQLITE_READONLY_DIRECTORY), ErrorClass::kSetUp);
}

}  // namespace
}  // namespace onceflow::connectors
