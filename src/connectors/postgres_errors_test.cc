// Every row of the table of SQLSTATEs against a real server: each code is raised in the middle of a
// commit, and those that people meet are caused as people cause them. Those need a server
// (tests/postgres/run).
#include "connectors/postgres_errors.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "connectors/postgres_connection.h"
#include "connectors/postgres_sink.h"
#include "connectors/sink_world_testing.h"

namespace onceflow::connectors {
namespace {

using Kind = CommitOutcome::Kind;

const TopicPartition kIn0{"in", PartitionIndex(0)};

TEST(SqlStates, the_longest_row_that_a_code_begins_with_counts) {
  EXPECT_EQ(class_of_sqlstate("42601"), ErrorClass::kSetUp);
  EXPECT_EQ(class_of_sqlstate("25006"), ErrorClass::kPasses);
  EXPECT_EQ(class_of_sqlstate("25P03"), ErrorClass::kPasses);
  EXPECT_EQ(class_of_sqlstate("25001"), ErrorClass::kOnce);
  EXPECT_EQ(class_of_sqlstate("ZZ001"), ErrorClass::kOnce);
  EXPECT_EQ(find_postgres_rule("ZZ001"), nullptr);
}

TEST(SqlStates, why_no_connection_came_about_is_judged_by_code_and_not_by_language) {
  const auto judged = [](std::string_view message) {
    return judge_connect_failure(message).error_class;
  };
  EXPECT_EQ(
      judged("connection to server at \"h\", port 1 failed: FATAL:  28P01: falsches Passwort\n"
             "LOCATION:  auth_failed, auth.c:340\n"),
      ErrorClass::kSetUp);
  EXPECT_EQ(judged("connection to server at \"h\" failed: FATAL:  57P03: starting up\n"),
            ErrorClass::kPasses);
  EXPECT_EQ(judged("connection to server at \"h\" failed: Connection refused\n\tIs it there?\n"),
            ErrorClass::kPasses);
  EXPECT_EQ(judged("connection to server at \"h\" failed: fe_sendauth: no password supplied\n"),
            ErrorClass::kSetUp);
  // One host of several that may come back is enough.
  EXPECT_EQ(judged("connection to server at \"a\" failed: FATAL:  3D000: no database\n"
                   "connection to server at \"b\" failed: Connection refused\n"),
            ErrorClass::kPasses);
  EXPECT_EQ(judged(""), ErrorClass::kPasses);
}

class PostgresErrors : public testing::Test {
 protected:
  void SetUp() override {
    world_ = make_postgres_world();
    if (world_ == nullptr) {
      GTEST_SKIP() << "no server; see tests/postgres/run";
    }
    options_.dsn = std::getenv("ONCEFLOW_TEST_POSTGRES_DSN");
    options_.lock_timeout = milliseconds(300);
    options_.statement_timeout = milliseconds(2000);
  }

  std::unique_ptr<Sink> make(SinkMode mode = SinkMode::kAppend) {
    const bool is_key = mode == SinkMode::kUpsert;
    return std::move(
        *make_postgres_sink(os_.environment(), options_,
                            {"p",
                             "s",
                             "rows",
                             mode,
                             {{"id", ColumnType::kInteger, is_key}, {"name", ColumnType::kText}}}));
  }
  Result<std::vector<ClaimedPartition>> try_claim(Sink& sink) {
    return run_to_end(os_, sink.claim({kIn0}));
  }
  /// Rows 0 to 3 in one commit after a claim; the third is the one that `name` makes special.
  CommitOutcome commit(Sink& sink, std::string_view name, std::int64_t id = 2) {
    const auto claimed = try_claim(sink);
    EXPECT_TRUE(claimed.has_value()) << claimed.error().text;
    if (!claimed) {
      return {.text = claimed.error().text};
    }
    TestCommit batch;
    batch.at(claimed->front(), 4);
    for (std::int64_t offset = 0; offset < 4; ++offset) {
      batch.row(offset, {offset == 2 ? id : offset, offset == 2 ? name : std::string_view("x")});
    }
    return run_to_end(os_, sink.commit(batch.commit));
  }
  void query(const std::string& sql) { world_->query(sql); }
  void refuses_third_row(const CommitOutcome& outcome, std::string_view words) {
    EXPECT_EQ(outcome.kind, Kind::kRefused) << outcome.text;
    EXPECT_EQ(outcome.refused_row, 2u) << outcome.text;
    EXPECT_TRUE(outcome.is_final) << outcome.text;
    EXPECT_TRUE(outcome.text.contains(words)) << outcome.text;
  }

  io::OsEnvironment os_;
  std::unique_ptr<SinkWorld> world_;
  PostgresSinkOptions options_;
};

TEST_F(PostgresErrors, every_row_of_the_table_is_what_it_says_in_the_middle_of_a_commit) {
  query("CREATE TABLE rows (id bigint, name text, onceflow_source text)");
  query(
      "CREATE FUNCTION raise() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN"
      " IF NEW.name <> 'x' THEN RAISE EXCEPTION 'on purpose' USING ERRCODE = NEW.name; END IF;"
      " RETURN NEW; END$$");
  query("CREATE TRIGGER raise BEFORE INSERT ON rows FOR EACH ROW EXECUTE FUNCTION raise()");
  const auto sink = make();
  std::vector<std::pair<std::string, ErrorClass>> all = {{"ZZ123", ErrorClass::kOnce}};
  for (const PostgresErrorRule& rule : postgres_error_rules()) {
    std::string sqlstate(rule.sqlstate);
    // A class as a whole cannot be raised.
    sqlstate.append(5 - sqlstate.size(), sqlstate.size() == 2 ? '0' : '1');
    all.emplace_back(sqlstate.ends_with("000") ? sqlstate.substr(0, 4) + "7" : sqlstate,
                     rule.error_class);
  }
  for (const auto& [sqlstate, error_class] : all) {
    const CommitOutcome outcome = commit(*sink, sqlstate);
    EXPECT_TRUE(outcome.text.contains("on purpose")) << outcome.text;
    EXPECT_TRUE(outcome.text.contains(sqlstate)) << outcome.text;
    switch (error_class) {
      case ErrorClass::kPasses:
      case ErrorClass::kLost:
        EXPECT_EQ(outcome.kind, Kind::kNotNow) << outcome.text;
        break;
      case ErrorClass::kRecord:
        refuses_third_row(outcome, sqlstate);
        break;
      case ErrorClass::kOnce:
        EXPECT_EQ(outcome.kind, Kind::kRefused) << outcome.text;
        EXPECT_EQ(outcome.refused_row, 2u) << outcome.text;
        EXPECT_FALSE(outcome.is_final) << outcome.text;
        break;
      default:
        EXPECT_EQ(outcome.kind, Kind::kRefused) << outcome.text;
        EXPECT_EQ(outcome.refused_row, CommitOutcome::kNoRow) << outcome.text;
        EXPECT_FALSE(outcome.is_final) << outcome.text;
        EXPECT_TRUE(outcome.text.contains("the fix: ")) << outcome.text;
    }
  }
  EXPECT_EQ(world_->query("SELECT count(*) FROM rows"), "0");
}

TEST_F(PostgresErrors, what_breaks_a_rule_of_the_table_is_the_records_fault) {
  query(
      "CREATE TABLE owners (id bigint PRIMARY KEY); INSERT INTO owners VALUES (0), (1), (2), (3)");
  query(
      "CREATE TABLE rows (id int REFERENCES owners, name varchar(5) NOT NULL CHECK (name <> 'bad'),"
      " onceflow_source text, EXCLUDE USING hash (name WITH =) WHERE (name <> 'x'))");
  query("INSERT INTO rows VALUES (0, 'taken', 's')");
  const auto sink = make();
  refuses_third_row(commit(*sink, "bad"), "23514");
  refuses_third_row(commit(*sink, "taken"), "23P01");
  refuses_third_row(commit(*sink, "toolong"), "character varying(5)");
  refuses_third_row(commit(*sink, "x", 99), "23503");
  refuses_third_row(commit(*sink, "\xff"), "22021");
  query("CREATE UNIQUE INDEX only_once ON rows (id) WHERE name <> 'x'");
  refuses_third_row(commit(*sink, "y", 0), "23505");
}

TEST_F(PostgresErrors, a_server_that_turns_read_only_is_waited_for) {
  auto sink = make();
  ASSERT_EQ(commit(*sink, "x").kind, Kind::kCommitted);
  query("ALTER DATABASE onceflow SET default_transaction_read_only = on");
  auto held = try_claim(*make());
  EXPECT_FALSE(held.has_value());
  if (!held) {
    EXPECT_EQ(held.error().recovery, Recovery::kRetriable) << held.error().text;
    EXPECT_TRUE(held.error().text.contains("25006")) << held.error().text;
  }
  auto admin = PostgresConnection::open(options_);
  ASSERT_TRUE(admin.has_value());
  ASSERT_TRUE((*admin)->execute("SET default_transaction_read_only = off").has_value());
  ASSERT_TRUE(
      (*admin)->execute("ALTER DATABASE onceflow RESET default_transaction_read_only").has_value());
  EXPECT_TRUE(try_claim(*make()).has_value());
}

TEST_F(PostgresErrors, rights_that_are_missing_are_said_with_the_grant_that_helps) {
  query("CREATE TABLE rows (id bigint, name text, onceflow_source text)");
  ASSERT_EQ(commit(*make(), "x").kind, Kind::kCommitted);
  query("DROP ROLE IF EXISTS clerk");
  query("CREATE ROLE clerk LOGIN; GRANT USAGE ON SCHEMA public TO clerk");
  const std::string owner = options_.dsn;
  options_.dsn.replace(options_.dsn.find("onceflow@"), 9, "clerk@");
  const auto refused = try_claim(*make());
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().recovery, Recovery::kFatal);
  EXPECT_TRUE(refused.error().text.contains("42501")) << refused.error().text;
  // The fix, carried out as it is said; what each right alone does is in postgres_rights_test.cc.
  const std::size_t fix = refused.error().text.find("GRANT ");
  ASSERT_NE(fix, std::string::npos) << refused.error().text;
  query(refused.error().text.substr(fix));
  EXPECT_EQ(commit(*make(), "x").kind, Kind::kCommitted);
  query("DROP OWNED BY clerk; DROP ROLE clerk");
}

TEST_F(PostgresErrors, a_database_or_role_that_is_not_there_is_said_at_once) {
  const std::string good = options_.dsn;
  options_.dsn = good.substr(0, good.rfind('/')) + "/nowhere";
  const auto nowhere = try_claim(*make());
  ASSERT_FALSE(nowhere.has_value());
  EXPECT_EQ(nowhere.error().recovery, Recovery::kFatal);
  EXPECT_TRUE(nowhere.error().text.contains("3D000")) << nowhere.error().text;
  options_.dsn = "postgresql://nobody" + good.substr(good.find('@'));
  const auto nobody = try_claim(*make());
  ASSERT_FALSE(nobody.has_value());
  EXPECT_EQ(nobody.error().recovery, Recovery::kFatal);
  EXPECT_TRUE(nobody.error().text.contains("28000")) << nobody.error().text;
}

TEST_F(PostgresErrors, a_key_that_is_deferrable_is_refused_with_the_change_that_helps) {
  for (const char* const key : {"PRIMARY KEY", "UNIQUE"}) {
    query("DROP TABLE IF EXISTS rows");
    query(
        fmt::format("CREATE TABLE rows (id bigint NOT NULL, name text, onceflow_source text,"
                    " CONSTRAINT rows_key {} (id) DEFERRABLE INITIALLY DEFERRED)",
                    key));
    const auto refused = try_claim(*make(SinkMode::kUpsert));
    ASSERT_FALSE(refused.has_value());
    const std::string fix =
        fmt::format("ALTER TABLE \"rows\" DROP CONSTRAINT \"rows_key\", ADD {} (\"id\")", key);
    EXPECT_TRUE(refused.error().text.contains("its key rows_key is DEFERRABLE"))
        << refused.error().text;
    EXPECT_TRUE(refused.error().text.ends_with("the fix: " + fix)) << refused.error().text;
    query(fix);
    EXPECT_EQ(commit(*make(SinkMode::kUpsert), "x", 9).kind, Kind::kCommitted);
    query("DROP TABLE onceflow_positions");
    query("DROP TABLE onceflow_receipts");
  }
}

TEST_F(PostgresErrors, a_deadlock_and_a_serialization_failure_pass_by_themselves) {
  query("CREATE TABLE rows (id bigint, name text, onceflow_source text)");
  query("CREATE TABLE counter (n bigint); INSERT INTO counter VALUES (0)");
  query(
      "CREATE FUNCTION tally() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN"
      " PERFORM pg_sleep(0.2); UPDATE counter SET n = n + 1; RETURN NEW; END$$");
  query(
      "CREATE TRIGGER tally BEFORE INSERT ON rows FOR EACH ROW WHEN (NEW.id = 2)"
      " EXECUTE FUNCTION tally()");
  query("ALTER DATABASE onceflow SET default_transaction_isolation = 'serializable'");
  options_.lock_timeout = seconds(5);
  options_.statement_timeout = seconds(10);
  const auto sink = make();
  const auto claimed = try_claim(*sink);
  ASSERT_TRUE(claimed.has_value()) << claimed.error().text;
  auto other = PostgresConnection::open(options_);
  ASSERT_TRUE(other.has_value());
  // Our transaction's snapshot is older than what this one commits while the trigger sleeps.
  ASSERT_TRUE((*other)->execute("BEGIN; UPDATE counter SET n = n + 1").has_value());
  TestCommit batch;
  batch.at(claimed->front(), 1).row(0, {std::int64_t{2}, std::string_view("x")});
  bool is_done = false;
  CommitOutcome outcome;
  os_.loop().spawn(
      [](Sink& with, const SinkCommit& commit, CommitOutcome& place, bool& done) -> Task<void> {
        place = co_await with.commit(commit);
        done = true;
      }(*sink, batch.commit, outcome, is_done));
  os_.loop().run_for(milliseconds(600));
  ASSERT_TRUE((*other)->execute("COMMIT").has_value());
  ASSERT_TRUE(os_.loop().run_until([&] { return is_done; }, seconds(30)));
  EXPECT_EQ(outcome.kind, Kind::kNotNow) << outcome.text;
  EXPECT_TRUE(outcome.text.contains("40001")) << outcome.text;
  query("ALTER DATABASE onceflow RESET default_transaction_isolation");
  EXPECT_EQ(commit(*sink, "x").kind, Kind::kCommitted);
}

// -------------------------------------------------------------------------------------------
// a table that changes while it is written

TEST_F(PostgresErrors, a_column_that_was_widened_takes_the_row_after_another_claim) {
  query("CREATE TABLE rows (id int, name text, onceflow_source text)");
  const auto sink = make();
  ASSERT_EQ(commit(*sink, "x").kind, Kind::kCommitted);
  refuses_third_row(commit(*sink, "x", 5'000'000'000), "out of its range");
  const auto claimed = try_claim(*sink);
  ASSERT_TRUE(claimed.has_value());
  query("ALTER TABLE rows ALTER id TYPE bigint");
  TestCommit batch;
  batch.at(claimed->front(), 1).row(0, {std::int64_t{5'000'000'000}, std::string_view("x")});
  const CommitOutcome outcome = run_to_end(os_, sink->commit(batch.commit));
  EXPECT_EQ(outcome.kind, Kind::kNotNow) << outcome.text;
  EXPECT_EQ(commit(*sink, "x", 5'000'000'000).kind, Kind::kCommitted);
}

TEST_F(PostgresErrors, every_change_of_a_written_column_is_seen_before_the_commit) {
  for (const char* change :
       {"ALTER TABLE rows ALTER id TYPE double precision", "ALTER TABLE rows RENAME id TO number",
        "ALTER TABLE rows DROP COLUMN name", "ALTER TABLE rows ADD needed int NOT NULL",
        "ALTER TABLE rows ALTER name TYPE varchar(2)", "DROP TABLE rows"}) {
    query("DROP TABLE IF EXISTS rows, onceflow_positions, onceflow_receipts");
    query("CREATE TABLE rows (id bigint, name text, onceflow_source text)");
    const auto sink = make();
    const auto claimed = try_claim(*sink);
    ASSERT_TRUE(claimed.has_value()) << claimed.error().text;
    query(change);
    TestCommit batch;
    batch.at(claimed->front(), 1).row(0, {std::int64_t{1}, std::string_view("x")});
    const CommitOutcome outcome = run_to_end(os_, sink->commit(batch.commit));
    EXPECT_EQ(outcome.kind, Kind::kNotNow) << change << ": " << outcome.text;
  }
}

// -------------------------------------------------------------------------------------------
// keys that are one row by a rule of the table's

class PostgresKeys : public PostgresErrors {
 protected:
  std::unique_ptr<Sink> make_keyed(ColumnType type = ColumnType::kText) {
    return std::move(*make_postgres_sink(
        os_.environment(), options_,
        {"p", "s", "rows", SinkMode::kUpsert, {{"k", type, true}, {"v", ColumnType::kInteger}}}));
  }
  /// In one commit; a negative value deletes.
  void write(Sink& sink, const std::vector<std::pair<Value, std::int64_t>>& records) {
    const auto claimed = try_claim(sink);
    ASSERT_TRUE(claimed.has_value()) << claimed.error().text;
    TestCommit batch;
    batch.at(claimed->front(), static_cast<std::int64_t>(records.size()));
    std::int64_t offset = 0;
    for (const auto& [key, value] : records) {
      value < 0 ? batch.remove(offset++, {key, Value()}) : batch.row(offset++, {key, value});
    }
    const CommitOutcome outcome = run_to_end(os_, sink.commit(batch.commit));
    EXPECT_EQ(outcome.kind, Kind::kCommitted) << outcome.text;
  }
  static Value key(const char* name) { return std::string_view(name); }
};

TEST_F(PostgresKeys, that_a_collation_holds_to_be_equal_are_one_row_the_last_records) {
  query("CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false)");
  query("CREATE TABLE rows (k text COLLATE ci PRIMARY KEY, v bigint, onceflow_source text)");
  const auto sink = make_keyed();
  write(*sink,
        {{key("Bob"), 1}, {key("ann"), 2}, {key("bob"), 3}, {key("BOB"), 4}, {key("Ann"), 5}});
  EXPECT_EQ(world_->query("SELECT k || v || onceflow_source FROM rows ORDER BY v"),
            "BOB4in/0/3\nAnn5in/0/4");
  // A deletion in between counts where it stands.
  write(*sink, {{key("bob"), 6}, {key("BOB"), -1}, {key("ann"), -1}, {key("ANN"), 7}});
  EXPECT_EQ(world_->query("SELECT k || v FROM rows"), "ANN7");
}

// A deletion would look for the key of its record.
TEST_F(PostgresKeys, that_a_trigger_changes_are_refused) {
  query("CREATE TABLE rows (k text PRIMARY KEY, v bigint, onceflow_source text)");
  const auto early = make_keyed();
  write(*early, {{key("early"), 0}, {key("Bob"), 1}});
  query(
      "CREATE FUNCTION lower_key() RETURNS trigger LANGUAGE plpgsql AS "
      "'BEGIN NEW.k = lower(NEW.k); RETURN NEW; END'");
  query("CREATE TRIGGER lower_key BEFORE INSERT ON rows FOR EACH ROW EXECUTE FUNCTION lower_key()");
  // Also where a row of the key is there, from before.
  const auto late = make_keyed();
  const auto claimed = try_claim(*late);
  ASSERT_TRUE(claimed.has_value());
  TestCommit batch;
  batch.at(claimed->front(), 14)
      .row(11, {key("ann"), std::int64_t{1}})
      .row(12, {key("Bob"), std::int64_t{2}})
      .row(13, {key("bob"), std::int64_t{3}});
  const CommitOutcome outcome = run_to_end(os_, late->commit(batch.commit));
  EXPECT_EQ(outcome.kind, Kind::kRefused) << outcome.text;
  EXPECT_EQ(outcome.refused_row, 1u) << outcome.text;
  EXPECT_TRUE(outcome.is_final && outcome.text.contains("under its key there is none") &&
              outcome.text.contains("(the table's triggers: lower_key)"))
      << outcome.text;
  EXPECT_EQ(world_->query("SELECT string_agg(k || v, ',' ORDER BY v) FROM rows"), "early0,Bob1");
  // The fixes: keys as the trigger makes them, or no trigger.
  write(*make_keyed(), {{key("early"), 0}, {key("bob"), 3}});
  query("DROP TRIGGER lower_key ON rows");
  write(*make_keyed(), {{key("early"), 0}, {key("bob"), 3}, {key("Ann"), 4}});
  EXPECT_EQ(world_->query("SELECT string_agg(k || v, ',' ORDER BY v) FROM rows"),
            "early0,Bob1,bob3,Ann4");
}

TEST_F(PostgresKeys, that_a_trigger_of_after_the_claim_changes_are_refused_at_the_next_claim) {
  query("CREATE TABLE rows (k text PRIMARY KEY, v bigint, onceflow_source text)");
  query(
      "CREATE FUNCTION lower_key() RETURNS trigger LANGUAGE plpgsql AS "
      "'BEGIN NEW.k = lower(NEW.k); RETURN NEW; END'");
  const auto sink = make_keyed();
  const auto try_one = [&] {
    const auto claimed = try_claim(*sink);
    EXPECT_TRUE(claimed.has_value());
    return [&, position = claimed->front()] {
      TestCommit batch;
      batch.at(position, 1).row(0, {key("Bob"), std::int64_t{1}});
      return run_to_end(os_, sink->commit(batch.commit)).kind;
    };
  };
  const auto commit = try_one();
  query("CREATE TRIGGER lower_key BEFORE INSERT ON rows FOR EACH ROW EXECUTE FUNCTION lower_key()");
  EXPECT_EQ(commit(), Kind::kNotNow);
  EXPECT_EQ(try_one()(), Kind::kRefused);
  // One that is disabled fires for nobody.
  query("ALTER TABLE rows DISABLE TRIGGER lower_key");
  const auto again = try_one();
  query("ALTER TABLE rows ENABLE TRIGGER lower_key");
  EXPECT_EQ(again(), Kind::kNotNow);
  EXPECT_EQ(world_->query("SELECT count(*) FROM rows"), "0");
}

TEST_F(PostgresKeys, that_a_trigger_of_a_partition_changes_are_refused) {
  query(
      "CREATE TABLE rows (k text PRIMARY KEY, v bigint, onceflow_source text) PARTITION BY RANGE "
      "(k)");
  query("CREATE TABLE low PARTITION OF rows FOR VALUES FROM (MINVALUE) TO ('m')");
  query("CREATE TABLE high PARTITION OF rows FOR VALUES FROM ('m') TO (MAXVALUE)");
  query("CREATE FUNCTION back() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'");
  query("CREATE TRIGGER back BEFORE UPDATE ON low FOR EACH ROW EXECUTE FUNCTION back()");
  write(*make_keyed(), {{key("a"), 1}, {key("z"), 2}});
  const auto sink = make_keyed();
  const auto claimed = try_claim(*sink);
  ASSERT_TRUE(claimed.has_value());
  TestCommit batch;
  batch.at(claimed->front(), 4)
      .row(12, {key("z"), std::int64_t{3}})
      .row(13, {key("a"), std::int64_t{4}});
  const CommitOutcome outcome = run_to_end(os_, sink->commit(batch.commit));
  EXPECT_EQ(outcome.kind, Kind::kRefused) << outcome.text;
  EXPECT_EQ(outcome.refused_row, 1u) << outcome.text;
}

// There ON CONFLICT takes no key without the columns of the partitions, and no index is made on
// one.
TEST_F(PostgresKeys, without_the_columns_of_partitions_are_refused_with_a_key_that_has_them) {
  const auto make_by = [&](std::vector<SinkColumn> columns) {
    return std::move(*make_postgres_sink(
        os_.environment(), options_, {"p", "s", "rows", SinkMode::kUpsert, std::move(columns)}));
  };
  query(
      "CREATE TABLE rows (k text, \"Day\" bigint, hour bigint, onceflow_source text)"
      " PARTITION BY RANGE (\"Day\")");
  query("CREATE TABLE one PARTITION OF rows FOR VALUES FROM (0) TO (5) PARTITION BY LIST (hour)");
  query("CREATE TABLE deep PARTITION OF one FOR VALUES IN (1)");
  const auto refused = try_claim(*make_by({{"k", ColumnType::kText, true},
                                           {"Day", ColumnType::kInteger},
                                           {"hour", ColumnType::kInteger}}));
  ASSERT_FALSE(refused.has_value());
  const std::string& text = refused.error().text;
  EXPECT_TRUE(text.contains("it is partitioned by Day, hour, and the sink's key (k) has no Day") &&
              text.contains("give the sink `key: [k, Day, hour]`"))
      << text;
  const std::size_t from = text.find("CREATE UNIQUE INDEX");
  ASSERT_NE(from, std::string::npos) << text;
  query(text.substr(from, text.find(';', from) - from));
  const auto sink = make_by({{"k", ColumnType::kText, true},
                             {"Day", ColumnType::kInteger, true},
                             {"hour", ColumnType::kInteger, true}});
  const auto claimed = try_claim(*sink);
  ASSERT_TRUE(claimed.has_value()) << claimed.error().text;
  TestCommit batch;
  batch.at(claimed->front(), 2)
      .row(0, {key("a"), std::int64_t{1}, std::int64_t{1}})
      .row(1, {key("a"), std::int64_t{1}, std::int64_t{1}});
  EXPECT_EQ(run_to_end(os_, sink->commit(batch.commit)).kind, Kind::kCommitted);
  EXPECT_EQ(world_->query("SELECT k || onceflow_source FROM rows"), "ain/0/1");
  query(
      "DROP TABLE rows; CREATE TABLE rows (k text, v bigint, onceflow_source text)"
      " PARTITION BY RANGE (lower(k))");
  const auto by_expression = try_claim(*make_keyed());
  ASSERT_FALSE(by_expression.has_value());
  EXPECT_TRUE(by_expression.error().text.contains("it is partitioned by an expression"))
      << by_expression.error().text;
}

TEST_F(PostgresKeys, the_two_zeros_of_real_numbers_are_one_row) {
  query("CREATE TABLE rows (k double precision PRIMARY KEY, v bigint, onceflow_source text)");
  write(*make_keyed(ColumnType::kReal), {{0.0, 1}, {1.5, 2}, {-0.0, 3}});
  EXPECT_EQ(world_->query("SELECT string_agg(v::text, ',' ORDER BY v) FROM rows"), "2,3");
}

// What the last records of each key alone would break.
TEST_F(PostgresKeys, with_rules_between_rows_are_written_as_their_records_came) {
  const std::vector<std::pair<Value, std::int64_t>> moved = {
      {key("a"), 3}, {key("b"), 1}, {key("a"), 4}};
  for (const char* const rule : {"v bigint UNIQUE", "v bigint, EXCLUDE USING btree (v WITH =)"}) {
    SCOPED_TRACE(rule);
    query(fmt::format("CREATE TABLE rows (k text PRIMARY KEY, onceflow_source text, {})", rule));
    const auto sink = make_keyed();
    write(*sink, {{key("a"), 1}});
    write(*sink, moved);
    EXPECT_EQ(world_->query("SELECT string_agg(k || v, ',' ORDER BY k) FROM rows"), "a4,b1");
    // A deletion in between frees the value.
    write(*sink, {{key("a"), -1}, {key("c"), 4}, {key("a"), 5}});
    EXPECT_EQ(world_->query("SELECT string_agg(k || v, ',' ORDER BY k) FROM rows"), "a5,b1,c4");
    query("DROP TABLE rows; DELETE FROM onceflow_positions; DELETE FROM onceflow_receipts");
  }
}

TEST_F(PostgresKeys, with_rules_between_rows_that_the_records_break_name_the_record) {
  query("CREATE TABLE rows (k text PRIMARY KEY, v bigint UNIQUE, onceflow_source text)");
  const auto sink = make_keyed();
  write(*sink, {{key("a"), 1}});
  const auto claimed = try_claim(*sink);
  ASSERT_TRUE(claimed.has_value());
  TestCommit batch;
  batch.at(claimed->front(), 3)
      .row(0, {key("b"), std::int64_t{2}})
      .row(1, {key("b"), std::int64_t{1}})
      .row(2, {key("a"), std::int64_t{3}});
  const CommitOutcome outcome = run_to_end(os_, sink->commit(batch.commit));
  EXPECT_EQ(outcome.kind, Kind::kRefused) << outcome.text;
  EXPECT_EQ(outcome.refused_row, 1u) << outcome.text;
  EXPECT_TRUE(outcome.text.contains("23505")) << outcome.text;
  EXPECT_EQ(world_->query("SELECT k || v FROM rows"), "a1");
}

TEST_F(PostgresKeys, of_citext_are_one_row) {
  if (world_->query("SELECT count(*) FROM pg_available_extensions WHERE name = 'citext'") == "0") {
    GTEST_SKIP() << "this server has no citext";
  }
  query("CREATE EXTENSION IF NOT EXISTS citext");
  query("CREATE TABLE rows (k citext PRIMARY KEY, v bigint, onceflow_source text)");
  const auto sink = make_keyed();
  const auto claimed = try_claim(*sink);
  // Its type is none that a sink writes; it is refused before anything is written.
  if (claimed) {
    write(*sink, {{key("Bob"), 1}, {key("bob"), 2}});
    EXPECT_EQ(world_->query("SELECT v FROM rows"), "2");
  } else {
    EXPECT_EQ(claimed.error().code, ErrorCode::kRefused);
    EXPECT_TRUE(claimed.error().text.contains("the fix: ")) << claimed.error().text;
  }
}

}  // namespace
}  // namespace onceflow::connectors
