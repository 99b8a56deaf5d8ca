// The SQLite sink where its file is shared, locked, or cannot be had. What kill -9 does to it is
// tried by tests/sqlite.
#include "connectors/sqlite_sink.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "connectors/sink_world_testing.h"
#include "connectors/sqlite_connection.h"

namespace onceflow::connectors {
namespace {

const TopicPartition kIn0{"in", PartitionIndex(0)};

SinkTable table() { return {"p", "s", "rows", SinkMode::kAppend, {{"id", ColumnType::kInteger}}}; }

class SqliteSinkFile : public testing::Test {
 protected:
  SqliteSinkFile() {
    std::string name = std::filesystem::temp_directory_path() / "onceflow-sqlite.XXXXXX";
    directory_ = ::mkdtemp(name.data());
  }
  ~SqliteSinkFile() override { std::filesystem::remove_all(directory_); }

  std::string file() const { return directory_ + "/sink.db"; }
  std::int64_t query(const std::string& sql) const {
    auto connection = *SqliteConnection::open(file(), seconds(10));
    auto statement = *connection->prepare(sql);
    EXPECT_EQ(*statement.step(), SqliteStatement::Step::kRow);
    return statement.integer(0);
  }

  std::string directory_;
};

TEST_F(SqliteSinkFile, two_stages_share_a_file) {
  io::OsEnvironment os;
  SinkTable other = table();
  other.stage = "t";
  other.table = "others";
  auto first = *make_sqlite_sink(os.environment(), {.file = file()}, table());
  auto second = *make_sqlite_sink(os.environment(), {.file = file()}, other);
  const auto first_claim = run_to_end(os, first->claim({kIn0}));
  const auto second_claim = run_to_end(os, second->claim({kIn0}));
  ASSERT_TRUE(first_claim.has_value() && second_claim.has_value());
  for (std::int64_t offset = 0; offset < 20; ++offset) {
    TestCommit a;
    a.from(first_claim->front(), offset == 0 ? -1 : offset, offset + 1).row(offset, {offset});
    TestCommit b;
    b.from(second_claim->front(), offset == 0 ? -1 : offset, offset + 1).row(offset, {offset});
    EXPECT_EQ(run_to_end(os, first->commit(a.commit)).kind, CommitOutcome::Kind::kCommitted);
    EXPECT_EQ(run_to_end(os, second->commit(b.commit)).kind, CommitOutcome::Kind::kCommitted);
  }
  EXPECT_EQ(query("SELECT count(*) FROM rows"), 20);
  EXPECT_EQ(query("SELECT count(*) FROM others"), 20);
}

TEST_F(SqliteSinkFile, a_file_locked_by_another_is_waited_for) {
  io::OsEnvironment os;
  auto sink = *make_sqlite_sink(os.environment(),
                                {.file = file(), .busy_timeout = milliseconds(100)}, table());
  auto claimed = run_to_end(os, sink->claim({kIn0}));
  ASSERT_TRUE(claimed.has_value());
  auto other = *SqliteConnection::open(file(), seconds(1));
  ASSERT_TRUE(other->execute("BEGIN IMMEDIATE").has_value());
  TestCommit batch;
  batch.at(claimed->front(), 1).row(0, {std::int64_t{0}});
  EXPECT_EQ(run_to_end(os, sink->commit(batch.commit)).kind, CommitOutcome::Kind::kNotNow);
  const auto blocked = run_to_end(os, sink->claim({kIn0}));
  ASSERT_FALSE(blocked.has_value());
  EXPECT_EQ(blocked.error().recovery, Recovery::kRetriable) << blocked.error().text;
  ASSERT_TRUE(other->execute("ROLLBACK").has_value());
  claimed = run_to_end(os, sink->claim({kIn0}));
  ASSERT_TRUE(claimed.has_value());
  batch.commit.positions[0].epoch = claimed->front().epoch;
  EXPECT_EQ(run_to_end(os, sink->commit(batch.commit)).kind, CommitOutcome::Kind::kCommitted);
}

TEST_F(SqliteSinkFile, a_file_that_cannot_be_opened_or_is_no_database_is_said) {
  io::OsEnvironment os;
  auto nowhere = *make_sqlite_sink(os.environment(), {.file = directory_ + "/no/such.db"}, table());
  const auto refused = run_to_end(os, nowhere->claim({kIn0}));
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kRefused) << refused.error().text;
  auto nonsense = *make_sqlite_sink(os.environment(), {.file = "/proc/self/cmdline"}, table());
  EXPECT_FALSE(run_to_end(os, nonsense->claim({kIn0})).has_value());
}

// What is written to a file that has no name any more is lost.
TEST_F(SqliteSinkFile, a_file_that_was_deleted_or_replaced_gets_no_commit_and_the_new_one_decides) {
  io::OsEnvironment os;
  const auto remove_all = [&] {
    for (const char* end : {"", "-wal", "-shm"}) {
      std::filesystem::remove(file() + end);
    }
  };
  struct Change {
    const char* name;
    std::function<void()> make;
    Offset position;
    int rows;  // after one more commit
  };
  const auto remove_log = [&] {
    std::filesystem::remove(file() + "-wal");
    std::filesystem::remove(file() + "-shm");
  };
  const std::string backup = directory_ + "/backup.db";
  const std::vector<Change> changes = {
      {"deleted", remove_all, kNoOffset, 1},
      {"moved away",
       [&] {
         std::filesystem::rename(file(), directory_ + "/away.db");
         remove_all();
       },
       kNoOffset, 1},
      {"restored after a deletion",
       [&] {
         remove_all();
         std::filesystem::rename(backup, file());
       },
       Offset(1), 2},
      {"restored in place",
       [&] {
         remove_log();
         std::filesystem::copy_file(backup, file(),
                                    std::filesystem::copy_options::overwrite_existing);
       },
       Offset(1), 2},
      {"without its log", remove_log, kNoOffset, 1},
      {"without the index of its log", [&] { std::filesystem::remove(file() + "-shm"); }, Offset(2),
       3},
      {"a link to another",
       [&] {
         remove_all();
         std::filesystem::create_symlink(backup, file());
       },
       Offset(1), 2},
  };
  for (const Change& change : changes) {
    remove_all();
    for (const char* end : {"", "-wal", "-shm"}) {
      std::filesystem::remove(backup + end);
    }
    auto sink = *make_sqlite_sink(os.environment(), {.file = file()}, table());
    auto claimed = run_to_end(os, sink->claim({kIn0}));
    ASSERT_TRUE(claimed.has_value());
    const auto commit = [&](std::int64_t from, std::int64_t offset) {
      TestCommit batch;
      batch.from(claimed->front(), from, offset + 1).row(offset, {offset});
      return run_to_end(os, sink->commit(batch.commit));
    };
    ASSERT_EQ(commit(-1, 0).kind, CommitOutcome::Kind::kCommitted);
    ASSERT_TRUE((*SqliteConnection::open(file(), seconds(1)))
                    ->execute("VACUUM INTO '" + backup + "'")
                    .has_value());
    ASSERT_EQ(commit(1, 1).kind, CommitOutcome::Kind::kCommitted);
    change.make();
    const CommitOutcome outcome = commit(2, 2);
    EXPECT_EQ(outcome.kind, CommitOutcome::Kind::kNotNow) << change.name << outcome.text;
    EXPECT_TRUE(outcome.text.contains("deleted, moved or replaced")) << outcome.text;
    claimed = run_to_end(os, sink->claim({kIn0}));
    ASSERT_TRUE(claimed.has_value()) << change.name << claimed.error().text;
    EXPECT_EQ(claimed->front().next_offset, change.position) << change.name;
    EXPECT_EQ(commit(change.position.value, 5).kind, CommitOutcome::Kind::kCommitted);
    EXPECT_EQ(query("SELECT count(*) FROM rows"), change.rows) << change.name;
    EXPECT_EQ(query("SELECT integrity_check = 'ok' FROM pragma_integrity_check"), 1) << change.name;
  }
}

TEST_F(SqliteSinkFile, a_link_that_leads_elsewhere_is_seen_also_while_nothing_is_committed) {
  io::OsEnvironment os;
  const std::string link = directory_ + "/link.db";
  std::filesystem::create_symlink(file(), link);
  auto sink = *make_sqlite_sink(os.environment(), {.file = link}, table());
  const auto claimed = run_to_end(os, sink->claim({kIn0}));
  ASSERT_TRUE(claimed.has_value());
  TestCommit batch;
  batch.from(claimed->front(), -1, 1).row(0, {0});
  ASSERT_EQ(run_to_end(os, sink->commit(batch.commit)).kind, CommitOutcome::Kind::kCommitted);
  ASSERT_TRUE(run_to_end(os, sink->read_positions({kIn0})).has_value());
  std::filesystem::remove(link);
  std::filesystem::create_symlink(directory_ + "/other.db", link);
  const auto read = run_to_end(os, sink->read_positions({kIn0}));
  ASSERT_FALSE(read.has_value());
  EXPECT_EQ(read.error().recovery, Recovery::kRetriable) << read.error().text;
  EXPECT_TRUE(read.error().text.contains("deleted, moved or replaced")) << read.error().text;
  const auto again = run_to_end(os, sink->claim({kIn0}));
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->front().next_offset, kNoOffset);
}

// SQLite's last connection checkpoints its log and deletes the one that has its name by now.
TEST_F(SqliteSinkFile, a_file_that_was_replaced_is_closed_without_touching_the_new_one) {
  io::OsEnvironment os;
  auto sink = *make_sqlite_sink(os.environment(), {.file = file()}, table());
  ASSERT_TRUE(run_to_end(os, sink->claim({kIn0})).has_value());
  for (const char* end : {"", "-wal", "-shm"}) {
    std::filesystem::remove(file() + end);
  }
  auto other = *SqliteConnection::open(file(), seconds(1));
  ASSERT_TRUE(other->execute("CREATE TABLE rows (v)").has_value());
  sink.reset();
  ASSERT_TRUE(other->execute("INSERT INTO rows VALUES (1)").has_value());
  EXPECT_TRUE(std::filesystem::exists(file() + "-wal"));
  EXPECT_EQ(query("SELECT count(*) FROM rows"), 1);
}

TEST_F(SqliteSinkFile, a_file_that_was_replaced_beside_the_old_ones_log_is_not_opened) {
  io::OsEnvironment os;
  auto sink = *make_sqlite_sink(os.environment(), {.file = file()}, table());
  const auto claimed = run_to_end(os, sink->claim({kIn0}));
  ASSERT_TRUE(claimed.has_value());
  const auto commit = [&](const ClaimedPartition& at, std::int64_t from, std::int64_t offset) {
    TestCommit batch;
    batch.from(at, from, offset + 1).row(offset, {offset});
    return run_to_end(os, sink->commit(batch.commit));
  };
  ASSERT_EQ(commit(claimed->front(), -1, 0).kind, CommitOutcome::Kind::kCommitted);
  {
    auto admin = *SqliteConnection::open(file(), seconds(1));
    ASSERT_TRUE(admin->execute("VACUUM INTO '" + directory_ + "/backup.db'").has_value());
  }
  ASSERT_EQ(commit(claimed->front(), 1, 1).kind, CommitOutcome::Kind::kCommitted);
  std::filesystem::rename(directory_ + "/backup.db", file());
  const CommitOutcome outcome = commit(claimed->front(), 2, 2);
  EXPECT_EQ(outcome.kind, CommitOutcome::Kind::kRefused) << outcome.text;
  EXPECT_EQ(outcome.refused_row, CommitOutcome::kNoRow);
  EXPECT_TRUE(outcome.is_final);
  EXPECT_TRUE(outcome.text.contains("the fix: rm " + file() + "-wal " + file() + "-shm"))
      << outcome.text;
  std::filesystem::remove(file() + "-wal");
  std::filesystem::remove(file() + "-shm");
  const auto again = run_to_end(os, sink->claim({kIn0}));
  ASSERT_TRUE(again.has_value()) << again.error().text;
  EXPECT_EQ(again->front().next_offset, Offset(1));
  EXPECT_EQ(commit(again->front(), 1, 1).kind, CommitOutcome::Kind::kCommitted);
  EXPECT_EQ(query("SELECT count(*) FROM rows"), 2);
}

// -------------------------------------------------------------------------------------------
// what passes, what changes, and keys that are one row

TEST_F(SqliteSinkFile, a_trigger_that_refuses_a_row_is_seen_and_the_row_named) {
  io::OsEnvironment os;
  auto sink = *make_sqlite_sink(os.environment(), {.file = file()}, table());
  auto claimed = run_to_end(os, sink->claim({kIn0}));
  ASSERT_TRUE(claimed.has_value());
  auto admin = *SqliteConnection::open(file(), seconds(1));
  ASSERT_TRUE(admin
                  ->execute("CREATE TRIGGER no AFTER INSERT ON rows BEGIN"
                            " SELECT RAISE(ABORT, 'no more rows'); END")
                  .has_value());
  TestCommit batch;
  batch.at(claimed->front(), 1).row(0, {std::int64_t{0}});
  // The table's triggers changed: claim again. Then the trigger's refusal is the row's.
  EXPECT_EQ(run_to_end(os, sink->commit(batch.commit)).kind, CommitOutcome::Kind::kNotNow);
  claimed = run_to_end(os, sink->claim({kIn0}));
  batch.commit.positions[0].epoch = claimed->front().epoch;
  const CommitOutcome refused = run_to_end(os, sink->commit(batch.commit));
  EXPECT_EQ(refused.kind, CommitOutcome::Kind::kRefused) << refused.text;
  EXPECT_EQ(refused.refused_row, 0u);
  EXPECT_TRUE(refused.text.contains("SQLITE_CONSTRAINT")) << refused.text;
}

TEST_F(SqliteSinkFile, a_table_that_was_changed_is_read_again_before_a_row_is_written) {
  io::OsEnvironment os;
  for (const char* change :
       {"DROP TABLE rows; CREATE TABLE rows (id TEXT, onceflow_source TEXT)",
        "ALTER TABLE rows RENAME COLUMN id TO number", "ALTER TABLE rows ADD COLUMN more",
        "CREATE UNIQUE INDEX once ON rows (id)", "DROP TABLE rows"}) {
    std::filesystem::remove(file());
    auto sink = *make_sqlite_sink(os.environment(), {.file = file()}, table());
    const auto claimed = run_to_end(os, sink->claim({kIn0}));
    ASSERT_TRUE(claimed.has_value());
    auto admin = *SqliteConnection::open(file(), seconds(1));
    ASSERT_TRUE(admin->execute(change).has_value()) << change;
    TestCommit batch;
    batch.at(claimed->front(), 1).row(0, {std::int64_t{0}});
    const CommitOutcome outcome = run_to_end(os, sink->commit(batch.commit));
    EXPECT_EQ(outcome.kind, CommitOutcome::Kind::kNotNow) << change << ": " << outcome.text;
  }
}

TEST_F(SqliteSinkFile, a_change_of_another_table_is_no_reason_to_claim_again) {
  io::OsEnvironment os;
  auto sink = *make_sqlite_sink(os.environment(), {.file = file()}, table());
  const auto claimed = run_to_end(os, sink->claim({kIn0}));
  ASSERT_TRUE(claimed.has_value());
  auto admin = *SqliteConnection::open(file(), seconds(1));
  ASSERT_TRUE(admin->execute("CREATE TABLE others (id)").has_value());
  TestCommit batch;
  batch.at(claimed->front(), 1).row(0, {std::int64_t{0}});
  EXPECT_EQ(run_to_end(os, sink->commit(batch.commit)).kind, CommitOutcome::Kind::kCommitted);
}

TEST_F(SqliteSinkFile, columns_of_other_declarations_keep_texts_of_one_form_and_bytes) {
  struct Declared {
    std::string as;
    ColumnType type;
    std::string text;
    std::string stored;  ///< its storage class
  };
  const std::vector<Declared> declared = {
      {"DATE", ColumnType::kDate, "2024-02-29", "text"},
      {"TIMESTAMP", ColumnType::kTimestamptz, "2024-02-29T12:30:00Z", "text"},
      {"DATETIME", ColumnType::kTimestamp, "2024-02-29T12:30:00", "text"},
      {"UUID", ColumnType::kUuid, "00000000-0000-0000-0000-000000000000", "text"},
      {"TEXT", ColumnType::kJsonb, "5", "text"},
      {"BLOB", ColumnType::kBytea, std::string("5\0\xff", 3), "blob"},
      {"BLOB", ColumnType::kBytea, "", "blob"}};
  io::OsEnvironment os;
  for (const auto& [as, type, text, stored] : declared) {
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directory(directory_);
    auto connection = *SqliteConnection::open(file(), seconds(1));
    ASSERT_TRUE(
        connection->execute("CREATE TABLE rows (v " + as + ", onceflow_source TEXT)").has_value());
    auto sink = *make_sqlite_sink(os.environment(), {.file = file()},
                                  {"p", "s", "rows", SinkMode::kAppend, {{"v", type, false}}});
    const auto claimed = run_to_end(os, sink->claim({kIn0}));
    ASSERT_TRUE(claimed.has_value()) << as << ": " << claimed.error().text;
    TestCommit batch;
    batch.at(claimed->front(), 1).row(0, {std::string_view(text)});
    EXPECT_EQ(run_to_end(os, sink->commit(batch.commit)).kind, CommitOutcome::Kind::kCommitted);
    EXPECT_EQ(query("SELECT typeof(v) = '" + stored + "' AND length(CAST(v AS BLOB)) = " +
                    std::to_string(text.size()) + " FROM rows"),
              1)
        << as;
  }
}

TEST_F(SqliteSinkFile, a_column_that_would_change_a_value_is_refused_with_a_fix_that_helps) {
  struct Column {
    const char* declaration;
    ColumnType type;
    const char* other_type;  // that is a way on as well, for some values
  };
  for (const Column& each : std::vector<Column>{{"JSON", ColumnType::kJsonb, ""},
                                                {"JSON", ColumnType::kJson, ""},
                                                {"INTEGER", ColumnType::kTimestamptz, ""},
                                                {"REAL", ColumnType::kUuid, ""},
                                                {"STRING", ColumnType::kText, "integer"},
                                                {"DECIMAL(10,2)", ColumnType::kDecimal, "integer"},
                                                {"INTEGER", ColumnType::kReal, "integer"},
                                                {"REAL", ColumnType::kInteger, "real"},
                                                {"TEXT", ColumnType::kBytea, "text"}}) {
    SCOPED_TRACE(each.declaration);
    std::filesystem::remove(file());
    auto connection = *SqliteConnection::open(file(), seconds(1));
    ASSERT_TRUE(connection
                    ->execute(fmt::format("CREATE TABLE rows (v {}, onceflow_source TEXT)",
                                          each.declaration))
                    .has_value());
    io::OsEnvironment os;
    auto sink = *make_sqlite_sink(os.environment(), {.file = file()},
                                  {"p", "s", "rows", SinkMode::kAppend, {{"v", each.type}}});
    const auto claimed = run_to_end(os, sink->claim({kIn0}));
    ASSERT_FALSE(claimed.has_value());
    const std::string& text = claimed.error().text;
    EXPECT_TRUE(text.contains(fmt::format("column v is declared {}", each.declaration))) << text;
    EXPECT_EQ(text.contains("`type: "), *each.other_type != '\0') << text;
    EXPECT_TRUE(
        text.contains(*each.other_type == '\0' ? "" : fmt::format("`type: {}`", each.other_type)))
        << text;
    const std::size_t fix = text.find("ALTER TABLE ");
    ASSERT_NE(fix, std::string::npos) << text;
    ASSERT_TRUE(connection->execute(text.substr(fix, text.find(" (", fix) - fix))) << text;
    EXPECT_TRUE(run_to_end(os, sink->claim({kIn0})).has_value()) << text;
  }
}

// SQLite numbers a row whose rowid is null; in all other keys it keeps the null.
TEST_F(SqliteSinkFile, a_null_for_which_sqlite_would_make_up_a_number_is_refused) {
  struct Table {
    const char* columns;
    SinkMode mode;
    bool is_taken;
  };
  for (const Table& each : std::vector<Table>{
           {"id INTEGER PRIMARY KEY, name TEXT UNIQUE", SinkMode::kAppend, false},
           {"id integer not null primary key asc, name TEXT UNIQUE", SinkMode::kAppend, false},
           {"id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE", SinkMode::kAppend, false},
           {"name TEXT UNIQUE, id INTEGER, PRIMARY KEY (id)", SinkMode::kAppend, false},
           {"id INTEGER PRIMARY KEY, name TEXT UNIQUE", SinkMode::kUpsert, false},
           {"id INT PRIMARY KEY, name TEXT UNIQUE", SinkMode::kAppend, true},
           {"id BIGINT PRIMARY KEY, name TEXT UNIQUE", SinkMode::kUpsert, true},
           {"id INTEGER PRIMARY KEY DESC, name TEXT UNIQUE", SinkMode::kAppend, true},
           {"id INTEGER, name TEXT UNIQUE, PRIMARY KEY (id, name)", SinkMode::kAppend, true},
           {"id INTEGER UNIQUE, name TEXT UNIQUE", SinkMode::kAppend, true}}) {
    SCOPED_TRACE(each.columns);
    std::filesystem::remove(file());
    auto connection = *SqliteConnection::open(file(), seconds(1));
    ASSERT_TRUE(
        connection
            ->execute(fmt::format("CREATE TABLE rows (onceflow_source TEXT, {})", each.columns))
            .has_value());
    io::OsEnvironment os;
    auto sink = *make_sqlite_sink(os.environment(), {.file = file()},
                                  {"p",
                                   "s",
                                   "rows",
                                   each.mode,
                                   {{"id", ColumnType::kInteger},
                                    {"name", ColumnType::kText, each.mode == SinkMode::kUpsert}}});
    const auto claimed = run_to_end(os, sink->claim({kIn0}));
    ASSERT_TRUE(claimed.has_value()) << claimed.error().text;
    TestCommit batch;
    batch.at(claimed->front(), 2)
        .row(0, {std::int64_t{1}, std::string_view("ann")})
        .row(1, {Value(), std::string_view("no id")});
    const CommitOutcome outcome = run_to_end(os, sink->commit(batch.commit));
    if (each.is_taken) {
      EXPECT_EQ(outcome.kind, CommitOutcome::Kind::kCommitted) << outcome.text;
      EXPECT_EQ(query("SELECT id IS NULL FROM rows WHERE name = 'no id'"), 1);
      continue;
    }
    EXPECT_EQ(outcome.kind, CommitOutcome::Kind::kRefused) << outcome.text;
    EXPECT_EQ(outcome.refused_row, 1u);
    EXPECT_TRUE(outcome.text.contains("column id is null")) << outcome.text;
    EXPECT_TRUE(outcome.text.contains("leave id out of the sink's `columns`")) << outcome.text;
    EXPECT_EQ(query("SELECT count(*) FROM rows"), 0);
  }
}

TEST_F(SqliteSinkFile, a_generated_column_is_refused_with_a_fix_that_helps) {
  for (const std::string kind : {"VIRTUAL", "STORED"}) {
    for (const bool is_key : {false, true}) {
      std::filesystem::remove(file());
      auto connection = *SqliteConnection::open(file(), seconds(1));
      ASSERT_TRUE(connection
                      ->execute("CREATE TABLE rows (v INTEGER AS (length(onceflow_source)) " +
                                kind + ", onceflow_source TEXT)")
                      .has_value());
      io::OsEnvironment os;
      const SinkMode mode = is_key ? SinkMode::kUpsert : SinkMode::kAppend;
      auto sink =
          *make_sqlite_sink(os.environment(), {.file = file()},
                            {"p", "s", "rows", mode, {{"v", ColumnType::kInteger, is_key}}});
      const auto claimed = run_to_end(os, sink->claim({kIn0}));
      ASSERT_FALSE(claimed.has_value());
      const std::string fix =
          "ALTER TABLE \"rows\" DROP COLUMN \"v\"; ALTER TABLE \"rows\" ADD COLUMN \"v\" INTEGER";
      EXPECT_TRUE(claimed.error().text.contains("column v is generated")) << claimed.error().text;
      EXPECT_TRUE(claimed.error().text.contains(fix)) << claimed.error().text;
      EXPECT_EQ(claimed.error().text.contains("leave v out"), !is_key) << claimed.error().text;
      ASSERT_TRUE(connection->execute(fix).has_value());
      if (is_key) {
        ASSERT_TRUE(connection->execute("CREATE UNIQUE INDEX k ON rows (v)").has_value());
      }
      const auto again = run_to_end(os, sink->claim({kIn0}));
      ASSERT_TRUE(again.has_value()) << again.error().text;
      TestCommit batch;
      batch.at(again->front(), 1).row(0, {std::int64_t{7}});
      EXPECT_EQ(run_to_end(os, sink->commit(batch.commit)).kind, CommitOutcome::Kind::kCommitted);
      EXPECT_EQ(query("SELECT v FROM rows"), 7);
    }
  }
}

TEST_F(SqliteSinkFile, keys_that_a_collation_holds_to_be_equal_are_one_row_the_last_records) {
  io::OsEnvironment os;
  {
    auto admin = *SqliteConnection::open(file(), seconds(1));
    ASSERT_TRUE(admin
                    ->execute("CREATE TABLE rows (k TEXT PRIMARY KEY COLLATE NOCASE, v INTEGER,"
                              " onceflow_source TEXT)")
                    .has_value());
  }
  auto sink = *make_sqlite_sink(os.environment(), {.file = file()},
                                {"p",
                                 "s",
                                 "rows",
                                 SinkMode::kUpsert,
                                 {{"k", ColumnType::kText, true}, {"v", ColumnType::kInteger}}});
  const auto claimed = run_to_end(os, sink->claim({kIn0}));
  ASSERT_TRUE(claimed.has_value()) << claimed.error().text;
  TestCommit batch;
  batch.at(claimed->front(), 5)
      .row(0, {std::string_view("Bob"), std::int64_t{1}})
      .row(1, {std::string_view("ann"), std::int64_t{2}})
      .row(2, {std::string_view("bob"), std::int64_t{3}})
      .remove(3, {std::string_view("ANN"), Value()})
      .row(4, {std::string_view("BOB"), std::int64_t{4}});
  ASSERT_EQ(run_to_end(os, sink->commit(batch.commit)).kind, CommitOutcome::Kind::kCommitted);
  EXPECT_EQ(query("SELECT count(*) FROM rows WHERE k = 'BOB' COLLATE BINARY AND v = 4"), 1);
  EXPECT_EQ(query("SELECT count(*) FROM rows"), 1);
}

}  // namespace
}  // namespace onceflow::connectors
