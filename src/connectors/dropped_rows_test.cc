// Rows that a database drops, and says nothing: each commit compares what was written with what was
// sent. PostgreSQL's part runs where a server is given (tests/postgres/run).
#include <gtest/gtest.h>

#include "connectors/sink_world_testing.h"

namespace onceflow::connectors {
namespace {

using Kind = CommitOutcome::Kind;

const TopicPartition kIn0{"in", PartitionIndex(0)};

std::string_view text(std::string_view view) { return view; }

/// What a world is asked to do before the sink claims.
struct Rule {
  const char* name;
  std::vector<std::string> statements;
};

class DroppedRows : public testing::Test {
 protected:
  static SinkTable table(SinkMode mode) {
    return {"p",
            "s",
            "rows",
            mode,
            {{"k", ColumnType::kText, mode == SinkMode::kUpsert}, {"v", ColumnType::kText}}};
  }
  std::unique_ptr<Sink> make(SinkMode mode) {
    return world_->make_sink(os_.environment(), table(mode));
  }
  ClaimedPartition claim(Sink& sink) {
    auto claimed = run_to_end(os_, sink.claim({kIn0}));
    EXPECT_TRUE(claimed.has_value()) << claimed.error().text;
    return claimed ? claimed->front() : ClaimedPartition{};
  }
  CommitOutcome commit(Sink& sink, const TestCommit& batch) {
    return run_to_end(os_, sink.commit(batch.commit));
  }
  std::string query(const std::string& sql) { return world_->query(sql); }

  /// Ten rows; those of `bad` have the value "bad".
  static TestCommit ten(const ClaimedPartition& claimed, std::int64_t bad) {
    static const std::vector<std::string> kKeys = {"0", "1", "2", "3", "4",
                                                   "5", "6", "7", "8", "9"};
    TestCommit batch;
    batch.at(claimed, 10);
    for (std::int64_t offset = 0; offset < 10; ++offset) {
      batch.row(offset, {std::string_view(kKeys[static_cast<std::size_t>(offset)]),
                         offset == bad ? text("bad") : text("good")});
    }
    return batch;
  }

  void expect_refused(SinkMode mode, const Rule& rule, std::int64_t bad) {
    for (const std::string& statement : rule.statements) {
      query(statement);
    }
    auto sink = make(mode);
    const ClaimedPartition claimed = claim(*sink);
    const std::string before = query("SELECT k, v FROM rows ORDER BY k");
    const CommitOutcome outcome = commit(*sink, ten(claimed, bad));
    EXPECT_EQ(outcome.kind, Kind::kRefused) << rule.name << outcome.text;
    EXPECT_EQ(outcome.refused_row, static_cast<std::size_t>(bad)) << rule.name << outcome.text;
    EXPECT_TRUE(outcome.is_final) << rule.name;
    EXPECT_EQ(query("SELECT k, v FROM rows ORDER BY k"), before) << rule.name;
    EXPECT_EQ(query("SELECT next_offset FROM onceflow_positions"), "-1") << rule.name;
    said_ = outcome.text;
  }

  io::OsEnvironment os_;
  std::unique_ptr<SinkWorld> world_;
  std::string said_;
};

class DroppedRowsSqlite : public DroppedRows {};

TEST_F(DroppedRowsSqlite, a_trigger_that_ignores_a_row) {
  for (const SinkMode mode : {SinkMode::kAppend, SinkMode::kUpsert}) {
    world_ = make_sqlite_world();
    expect_refused(mode,
                   {"raise(ignore)",
                    {"CREATE TABLE rows (k TEXT PRIMARY KEY, v TEXT, onceflow_source TEXT)",
                     "CREATE TRIGGER drops BEFORE INSERT ON rows WHEN new.v = 'bad' BEGIN"
                     " SELECT RAISE(IGNORE); END"}},
                   6);
    EXPECT_TRUE(said_.contains("RAISE(IGNORE)")) << said_;
    // The fix.
    query("DROP TRIGGER drops");
    auto sink = make(mode);
    EXPECT_EQ(commit(*sink, ten(claim(*sink), 6)).kind, Kind::kCommitted);
  }
}

TEST_F(DroppedRowsSqlite, a_trigger_that_ignores_an_update) {
  world_ = make_sqlite_world();
  expect_refused(SinkMode::kUpsert,
                 {"raise(ignore) of an update",
                  {"CREATE TABLE rows (k TEXT PRIMARY KEY, v TEXT, onceflow_source TEXT)",
                   "INSERT INTO rows VALUES ('3', 'old', '')",
                   "CREATE TRIGGER keeps BEFORE UPDATE ON rows BEGIN SELECT RAISE(IGNORE); END"}},
                 3);
}

TEST_F(DroppedRowsSqlite, a_trigger_that_changes_the_key) {
  world_ = make_sqlite_world();
  expect_refused(SinkMode::kUpsert,
                 {"another key",
                  {"CREATE TABLE rows (k TEXT PRIMARY KEY, v TEXT, onceflow_source TEXT)",
                   "CREATE TRIGGER more AFTER INSERT ON Rows WHEN new.v = 'bad' BEGIN"
                   " UPDATE rows SET k = 'x' || k WHERE rowid = new.rowid; END"}},
                 6);
  EXPECT_TRUE(said_.contains("(the table's triggers: more)")) << said_;
  // The fix.
  query("DROP TRIGGER more");
  auto sink = make(SinkMode::kUpsert);
  EXPECT_EQ(commit(*sink, ten(claim(*sink), 6)).kind, Kind::kCommitted);
}

TEST_F(DroppedRowsSqlite, a_conflict_clause_of_a_constraint) {
  for (const SinkMode mode : {SinkMode::kAppend, SinkMode::kUpsert}) {
    for (const char* column :
         {"v TEXT UNIQUE ON CONFLICT IGNORE", "v TEXT UNIQUE on  conflict replace",
          "v TEXT NOT NULL ON CONFLICT IGNORE", "v TEXT UNIQUE ON CONFLICT ROLLBACK",
          "v TEXT UNIQUE ON CONFLICT FAIL"}) {
      world_ = make_sqlite_world();
      TestCommit batch;
      query(std::string("CREATE TABLE rows (k TEXT PRIMARY KEY, ") + column +
            ", onceflow_source TEXT)");
      auto sink = make(mode);
      batch.at(claim(*sink), 2).row(0, {text("a"), text("x")});
      const bool is_null = std::string_view(column).contains("NOT NULL");
      batch.row(1, {text("b"), is_null ? Value() : text("x")});
      const CommitOutcome outcome = commit(*sink, batch);
      EXPECT_EQ(outcome.kind, Kind::kRefused) << column << outcome.text;
      EXPECT_EQ(outcome.refused_row, 1u) << column;
      EXPECT_EQ(query("SELECT count(*) FROM rows"), "0") << column;
    }
  }
}

TEST_F(DroppedRowsSqlite, a_null_that_a_clause_would_replace) {
  world_ = make_sqlite_world();
  query(
      "CREATE TABLE rows (k TEXT, v TEXT NOT NULL ON CONFLICT REPLACE DEFAULT 'other',"
      " onceflow_source TEXT)");
  auto sink = make(SinkMode::kAppend);
  TestCommit batch;
  batch.at(claim(*sink), 1).row(0, {text("a"), Value()});
  EXPECT_EQ(commit(*sink, batch).kind, Kind::kRefused);
  EXPECT_EQ(query("SELECT count(*) FROM rows"), "0");
}

TEST_F(DroppedRowsSqlite, a_trigger_of_the_users_keeps_its_own_conflict_clauses) {
  world_ = make_sqlite_world();
  query("CREATE TABLE rows (k TEXT, v TEXT, onceflow_source TEXT)");
  query("CREATE TABLE seen (v TEXT PRIMARY KEY)");
  query(
      "CREATE TRIGGER notes AFTER INSERT ON rows BEGIN"
      " INSERT OR IGNORE INTO seen VALUES (new.v); END");
  auto sink = make(SinkMode::kAppend);
  EXPECT_EQ(commit(*sink, ten(claim(*sink), 4)).kind, Kind::kCommitted);
  EXPECT_EQ(query("SELECT count(*) FROM seen"), "2");
}

TEST_F(DroppedRowsSqlite, a_delete_that_is_ignored) {
  world_ = make_sqlite_world();
  query("CREATE TABLE rows (k TEXT PRIMARY KEY, v TEXT, onceflow_source TEXT)");
  query("INSERT INTO rows VALUES ('a', 'x', ''), ('b', 'x', '')");
  query(
      "CREATE TRIGGER keeps BEFORE DELETE ON rows WHEN old.k = 'b' BEGIN"
      " SELECT RAISE(IGNORE); END");
  auto sink = make(SinkMode::kUpsert);
  TestCommit batch;
  batch.at(claim(*sink), 3)
      .remove(0, {text("none"), Value()})
      .remove(1, {text("a"), Value()})
      .remove(2, {text("b"), Value()});
  const CommitOutcome outcome = commit(*sink, batch);
  EXPECT_EQ(outcome.kind, Kind::kRefused) << outcome.text;
  EXPECT_EQ(outcome.refused_row, 2u);
  EXPECT_EQ(query("SELECT count(*) FROM rows"), "2");
}

TEST_F(DroppedRowsSqlite, a_view_whose_rows_nobody_counts_is_refused_at_the_claim) {
  world_ = make_sqlite_world();
  query("CREATE TABLE behind (k TEXT, v TEXT, onceflow_source TEXT)");
  query("CREATE VIEW rows AS SELECT k, v, onceflow_source FROM behind");
  query(
      "CREATE TRIGGER writes INSTEAD OF INSERT ON rows BEGIN"
      " INSERT INTO behind VALUES (new.k, new.v, new.onceflow_source); END");
  auto sink = make(SinkMode::kAppend);
  const auto claimed = run_to_end(os_, sink->claim({kIn0}));
  ASSERT_FALSE(claimed.has_value());
  EXPECT_TRUE(claimed.error().text.contains("it is a view")) << claimed.error().text;
}

class DroppedRowsPostgres : public DroppedRows {
 protected:
  void SetUp() override {
    world_ = make_postgres_world();
    if (world_ == nullptr) {
      GTEST_SKIP() << "no server; see tests/postgres/run";
    }
  }
  void make_empty() { world_ = make_postgres_world(); }
  static std::string drops(const char* event, const char* row) {
    return std::string("CREATE TRIGGER drops BEFORE ") + event + " ON rows FOR EACH ROW WHEN (" +
           row + ") EXECUTE FUNCTION drops()";
  }
  const std::string table_ = "CREATE TABLE rows (k text PRIMARY KEY, v text, onceflow_source text)";
  const std::string function_ =
      "CREATE FUNCTION drops() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'";
};

TEST_F(DroppedRowsPostgres, a_trigger_that_returns_null) {
  for (const SinkMode mode : {SinkMode::kAppend, SinkMode::kUpsert}) {
    make_empty();
    expect_refused(mode, {"a trigger", {table_, function_, drops("INSERT", "new.v = 'bad'")}}, 6);
    EXPECT_TRUE(said_.contains("a trigger returns NULL")) << said_;
    query("DROP TRIGGER drops ON rows");
    auto sink = make(mode);
    EXPECT_EQ(commit(*sink, ten(claim(*sink), 6)).kind, Kind::kCommitted);
  }
}

TEST_F(DroppedRowsPostgres, a_trigger_that_drops_an_update) {
  expect_refused(SinkMode::kUpsert,
                 {"an update",
                  {table_, "INSERT INTO rows VALUES ('3', 'old', '')", function_,
                   drops("UPDATE", "old.k = '3'")}},
                 3);
}

TEST_F(DroppedRowsPostgres, a_partition_whose_trigger_drops_rows) {
  expect_refused(
      SinkMode::kAppend,
      {"a partition",
       {"CREATE TABLE rows (k text, v text, onceflow_source text) PARTITION BY LIST (v)",
        "CREATE TABLE bad PARTITION OF rows FOR VALUES IN ('bad')",
        "CREATE TABLE good PARTITION OF rows DEFAULT", function_,
        "CREATE TRIGGER drops BEFORE INSERT ON bad FOR EACH ROW EXECUTE FUNCTION drops()"}},
      9);
}

TEST_F(DroppedRowsPostgres, a_view_whose_rows_are_counted_though_dropped_is_refused_at_the_claim) {
  query("CREATE TABLE behind (k text, v text, onceflow_source text)");
  query("CREATE VIEW rows AS SELECT * FROM behind");
  query(function_);
  query(
      "CREATE TRIGGER drops INSTEAD OF INSERT ON rows FOR EACH ROW"
      " EXECUTE FUNCTION drops()");
  auto sink = make(SinkMode::kAppend);
  const auto claimed = run_to_end(os_, sink->claim({kIn0}));
  ASSERT_FALSE(claimed.has_value());
  EXPECT_TRUE(claimed.error().text.contains("it is a view")) << claimed.error().text;
}

// What it does not show cannot be deleted through it.
TEST_F(DroppedRowsPostgres, a_view_is_no_table_for_an_upsert) {
  query("CREATE TABLE behind (k text PRIMARY KEY, v text, onceflow_source text)");
  query("CREATE VIEW rows AS SELECT * FROM behind WHERE v < '3'");
  auto sink = make(SinkMode::kUpsert);
  const auto claimed = run_to_end(os_, sink->claim({kIn0}));
  ASSERT_FALSE(claimed.has_value());
  EXPECT_TRUE(claimed.error().text.contains("it is a view")) << claimed.error().text;
}

TEST_F(DroppedRowsPostgres, a_table_that_others_inherit_from_is_refused) {
  query(table_);
  query("CREATE TABLE \"Archive\" () INHERITS (rows)");
  query("CREATE TABLE \"A\" () INHERITS (\"Archive\")");
  std::string fix;
  for (const SinkMode mode : {SinkMode::kAppend, SinkMode::kUpsert}) {
    auto sink = make(mode);
    const auto claimed = run_to_end(os_, sink->claim({kIn0}));
    ASSERT_FALSE(claimed.has_value());
    EXPECT_TRUE(claimed.error().text.contains("inherit from it")) << claimed.error().text;
    const std::size_t from = claimed.error().text.find("ALTER TABLE");
    ASSERT_NE(from, std::string::npos) << claimed.error().text;
    fix = claimed.error().text.substr(from, claimed.error().text.find(", or", from) - from);
  }
  query(fix);
  claim(*make(SinkMode::kUpsert));
}

TEST_F(DroppedRowsPostgres, a_table_that_a_crash_would_empty_is_refused_and_the_fix_helps) {
  query("CREATE UNLOGGED TABLE rows (k text PRIMARY KEY, v text, onceflow_source text)");
  for (const SinkMode mode : {SinkMode::kAppend, SinkMode::kUpsert}) {
    auto sink = make(mode);
    const auto claimed = run_to_end(os_, sink->claim({kIn0}));
    ASSERT_FALSE(claimed.has_value());
    EXPECT_TRUE(claimed.error().text.contains("ALTER TABLE \"rows\" SET LOGGED"))
        << claimed.error().text;
  }
  query("ALTER TABLE \"rows\" SET LOGGED");
  auto sink = make(SinkMode::kAppend);
  const ClaimedPartition claimed = claim(*sink);
  query("ALTER TABLE rows SET UNLOGGED");
  const CommitOutcome outcome = commit(*sink, ten(claimed, -1));
  EXPECT_EQ(outcome.kind, Kind::kNotNow) << outcome.text;
  EXPECT_FALSE(run_to_end(os_, sink->claim({kIn0})).has_value());
  make_empty();
  query(
      "CREATE TABLE rows (k text, v text, onceflow_source text) PARTITION BY LIST (v);"
      "CREATE UNLOGGED TABLE rest PARTITION OF rows DEFAULT");
  EXPECT_FALSE(run_to_end(os_, make(SinkMode::kAppend)->claim({kIn0})).has_value());
}

TEST_F(DroppedRowsPostgres, positions_that_a_crash_would_empty_are_refused_and_the_fix_helps) {
  claim(*make(SinkMode::kAppend));
  for (const std::string name : {"onceflow_positions", "onceflow_receipts"}) {
    query("ALTER TABLE " + name + " SET UNLOGGED");
    const auto claimed = run_to_end(os_, make(SinkMode::kAppend)->claim({kIn0}));
    ASSERT_FALSE(claimed.has_value());
    const std::string fix = "ALTER TABLE " + name + " SET LOGGED";
    EXPECT_TRUE(claimed.error().text.contains(fix)) << claimed.error().text;
    query(fix);
    claim(*make(SinkMode::kAppend));
  }
}

// postgres_fdw commits at the other server first, and knows no second phase.
TEST_F(DroppedRowsPostgres, a_table_of_another_server_is_refused) {
  query("CREATE FOREIGN DATA WRAPPER nothing; CREATE SERVER far FOREIGN DATA WRAPPER nothing");
  const std::string columns = "(k text, v text, onceflow_source text)";
  for (const std::string& table :
       {"CREATE FOREIGN TABLE rows " + columns + " SERVER far",
        "CREATE TABLE rows " + columns + " PARTITION BY LIST (v);" +
            "CREATE FOREIGN TABLE rest PARTITION OF rows DEFAULT SERVER far"}) {
    query("DROP FOREIGN TABLE IF EXISTS rows");
    query(table);
    const auto claimed = run_to_end(os_, make(SinkMode::kAppend)->claim({kIn0}));
    ASSERT_FALSE(claimed.has_value());
    EXPECT_TRUE(claimed.error().text.contains("a foreign table")) << claimed.error().text;
  }
}

TEST_F(DroppedRowsPostgres, a_delete_that_is_dropped) {
  for (const std::string& rule :
       {drops("DELETE", "old.k = 'b'"),
        std::string(
            "CREATE RULE keeps AS ON DELETE TO rows WHERE old.k = 'b' DO INSTEAD NOTHING")}) {
    make_empty();
    query(table_);
    query("INSERT INTO rows VALUES ('a', 'x', ''), ('b', 'x', '')");
    query(function_);
    query(rule);
    auto sink = make(SinkMode::kUpsert);
    TestCommit batch;
    batch.at(claim(*sink), 3)
        .remove(0, {text("none"), Value()})
        .remove(1, {text("a"), Value()})
        .remove(2, {text("b"), Value()});
    const CommitOutcome outcome = commit(*sink, batch);
    EXPECT_EQ(outcome.kind, Kind::kRefused) << outcome.text;
    EXPECT_EQ(outcome.refused_row, 2u);
    EXPECT_EQ(query("SELECT count(*) FROM rows"), "2");
  }
}

}  // namespace
}  // namespace onceflow::connectors
