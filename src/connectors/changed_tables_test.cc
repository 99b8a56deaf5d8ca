// Tables that people change while a sink writes them: its commits see it, and so do its looks at
// the positions while there is nothing to write; then the next claim says what is wrong, in the
// words of a start. PostgreSQL's part runs where a server is given (tests/postgres/run).
#include <gtest/gtest.h>

#include "connectors/sink_world_testing.h"

namespace onceflow::connectors {
namespace {

using Kind = CommitOutcome::Kind;

const TopicPartition kIn0{"in", PartitionIndex(0)};

class ChangedTables : public testing::Test {
 protected:
  std::unique_ptr<Sink> make() {
    return world_->make_sink(os_.environment(),
                             {"p",
                              "s",
                              "rows",
                              SinkMode::kAppend,
                              {{"k", ColumnType::kText}, {"v", ColumnType::kText}}});
  }
  std::string query(const std::string& sql) { return world_->query(sql); }

  ClaimedPartition claim(Sink& sink) {
    auto claimed = run_to_end(os_, sink.claim({kIn0}));
    EXPECT_TRUE(claimed.has_value()) << claimed.error().text;
    return claimed ? claimed->front() : ClaimedPartition{};
  }
  /// Empty: it goes on.
  std::string claim_refused(Sink& sink) {
    const auto claimed = run_to_end(os_, sink.claim({kIn0}));
    return claimed ? std::string() : claimed.error().text;
  }
  Kind write(Sink& sink, const ClaimedPartition& claimed) {
    const std::int64_t offset = std::max<std::int64_t>(0, claimed.next_offset.value);
    TestCommit batch;
    batch.at(claimed, offset + 1).row(offset, {std::string_view("a"), std::string_view("b")});
    batch.commit.receipt = "receipt";
    return run_to_end(os_, sink.commit(batch.commit)).kind;
  }
  bool sees_its_positions(Sink& sink) {
    const auto positions = run_to_end(os_, sink.read_positions({kIn0}));
    EXPECT_TRUE(positions || positions.error().recovery == Recovery::kRetriable)
        << positions.error().text;
    return positions.has_value();
  }

  /// Seen by a sink that writes and by one that does not; `words`: of the claim after it, empty: it
  /// goes on.
  void expect_seen(const std::string& change, const std::string& words, const std::string& back) {
    for (const bool is_idle : {false, true}) {
      auto sink = make();
      const ClaimedPartition claimed = claim(*sink);
      EXPECT_TRUE(sees_its_positions(*sink)) << change;
      query(change);
      if (is_idle) {
        EXPECT_FALSE(sees_its_positions(*sink)) << change;
      } else {
        EXPECT_EQ(write(*sink, claimed), Kind::kNotNow) << change;
      }
      const std::string said = claim_refused(*sink);
      EXPECT_EQ(said.empty(), words.empty()) << change << ": " << said;
      EXPECT_TRUE(said.contains(words)) << change << ": " << said;
      query(back);
      EXPECT_EQ(write(*sink, claim(*sink)), Kind::kCommitted) << back;
    }
  }

  io::OsEnvironment os_;
  std::unique_ptr<SinkWorld> world_;
};

class ChangedTablesPostgres : public ChangedTables {
 protected:
  void SetUp() override {
    world_ = make_postgres_world();
    if (world_ == nullptr) {
      GTEST_SKIP() << "no server; see tests/postgres/run";
    }
    query("DROP SERVER IF EXISTS far CASCADE; DROP FOREIGN DATA WRAPPER IF EXISTS nothing");
  }
};

TEST_F(ChangedTablesPostgres, what_a_crash_would_empty_or_another_server_keeps) {
  query(
      "CREATE FOREIGN DATA WRAPPER nothing; CREATE SERVER far FOREIGN DATA WRAPPER nothing;"
      "CREATE TABLE rows (k text, v text, onceflow_source text) PARTITION BY LIST (v);"
      "CREATE TABLE b PARTITION OF rows FOR VALUES IN ('b')");
  expect_seen("CREATE UNLOGGED TABLE c PARTITION OF rows FOR VALUES IN ('c')",
              "its partition public.c is UNLOGGED",
              "ALTER TABLE public.c SET LOGGED; DROP TABLE c");
  expect_seen("CREATE UNLOGGED TABLE d (LIKE rows); ALTER TABLE rows ATTACH PARTITION d DEFAULT",
              "ALTER TABLE public.d SET LOGGED", "ALTER TABLE public.d SET LOGGED; DROP TABLE d");
}

TEST_F(ChangedTablesPostgres, a_partition_of_a_partition_and_one_of_another_server) {
  query(
      "CREATE FOREIGN DATA WRAPPER nothing; CREATE SERVER far FOREIGN DATA WRAPPER nothing;"
      "CREATE TABLE rows (k text, v text, onceflow_source text) PARTITION BY LIST (v);"
      "CREATE TABLE b PARTITION OF rows FOR VALUES IN ('b');"
      "CREATE TABLE e PARTITION OF rows DEFAULT PARTITION BY LIST (k);"
      "CREATE TABLE e_a PARTITION OF e DEFAULT");
  expect_seen("ALTER TABLE e_a SET UNLOGGED", "ALTER TABLE public.e_a SET LOGGED",
              "ALTER TABLE public.e_a SET LOGGED");
  expect_seen("CREATE FOREIGN TABLE e_f PARTITION OF e FOR VALUES IN ('f') SERVER far",
              "its partition public.e_f is a foreign table",
              "ALTER TABLE public.e DETACH PARTITION public.e_f; DROP FOREIGN TABLE e_f");
}

TEST_F(ChangedTablesPostgres, ordinary_partitions_come_and_go) {
  query(
      "CREATE TABLE rows (k text, v text, onceflow_source text) PARTITION BY LIST (v);"
      "CREATE TABLE b PARTITION OF rows FOR VALUES IN ('b')");
  auto sink = make();
  const ClaimedPartition claimed = claim(*sink);
  query("CREATE TABLE c PARTITION OF rows FOR VALUES IN ('c')");
  EXPECT_TRUE(sees_its_positions(*sink));
  EXPECT_EQ(write(*sink, claimed), Kind::kCommitted);
}

// PostgreSQL's SET LOGGED does nothing to such a table, which keeps no row itself.
TEST_F(ChangedTablesPostgres, a_table_of_ordinary_partitions_is_taken_whatever_it_says_of_itself) {
  query(
      "CREATE UNLOGGED TABLE rows (k text, v text, onceflow_source text) PARTITION BY LIST (v);"
      "CREATE TABLE b PARTITION OF rows FOR VALUES IN ('b')");
  auto sink = make();
  EXPECT_EQ(write(*sink, claim(*sink)), Kind::kCommitted);
}

TEST_F(ChangedTablesPostgres, the_table_itself) {
  query("CREATE TABLE rows (k text, v text, onceflow_source text)");
  expect_seen("ALTER TABLE rows SET UNLOGGED", "it is UNLOGGED", "ALTER TABLE rows SET LOGGED");
  expect_seen("CREATE TABLE child () INHERITS (rows)", "inherit from it", "DROP TABLE child");
  expect_seen("ALTER TABLE rows RENAME TO old; CREATE VIEW rows AS SELECT * FROM old", "a view",
              "DROP VIEW rows; ALTER TABLE old RENAME TO rows");
  expect_seen("ALTER TABLE rows RENAME TO old; CREATE TABLE rows (LIKE old)", "",
              "DROP TABLE rows; ALTER TABLE old RENAME TO rows");
}

TEST_F(ChangedTablesPostgres, our_tables) {
  for (const std::string name : {"onceflow_positions", "onceflow_receipts"}) {
    const std::string logged = "ALTER TABLE " + name + " SET LOGGED";
    expect_seen("ALTER TABLE " + name + " SET UNLOGGED", logged, logged);
    expect_seen(
        "ALTER TABLE " + name + " RENAME TO kept; CREATE VIEW " + name + " AS SELECT * FROM kept",
        name + " is a view", "DROP VIEW " + name + "; ALTER TABLE kept RENAME TO " + name);
    expect_seen("CREATE UNLOGGED TABLE child () INHERITS (" + name + ")",
                "ALTER TABLE child SET LOGGED", "DROP TABLE child");
  }
}

class ChangedTablesSqlite : public ChangedTables {
 protected:
  void SetUp() override { world_ = make_sqlite_world(); }
};

TEST_F(ChangedTablesSqlite, a_table_that_is_replaced_is_seen_by_a_sink_that_is_idle) {
  for (const char* replace : {"DROP TABLE rows", "ALTER TABLE rows RENAME TO old"}) {
    world_ = make_sqlite_world();
    const std::string columns = " (k TEXT, v TEXT, onceflow_source TEXT)";
    query("CREATE TABLE rows" + columns);
    auto sink = make();
    EXPECT_EQ(write(*sink, claim(*sink)), Kind::kCommitted);
    EXPECT_TRUE(sees_its_positions(*sink));
    query(replace);
    query("CREATE TABLE rows (k TEXT, v TEXT, onceflow_source TEXT, more TEXT)");
    EXPECT_FALSE(sees_its_positions(*sink)) << replace;
  }
}

TEST_F(ChangedTablesSqlite, another_table_of_the_file_is_nothing_to_it) {
  query("CREATE TABLE rows (k TEXT, v TEXT, onceflow_source TEXT)");
  auto sink = make();
  claim(*sink);
  query("CREATE TABLE other (x)");
  EXPECT_TRUE(sees_its_positions(*sink));
}

}  // namespace
}  // namespace onceflow::connectors
