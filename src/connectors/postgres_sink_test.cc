// The PostgreSQL sink and a server that misbehaves. Runs where a server is given
// (tests/postgres/run).
#include "connectors/postgres_sink.h"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <optional>
#include <string>

#include "connectors/postgres_connection.h"
#include "connectors/sink_world_testing.h"

namespace onceflow::connectors {
namespace {

using Kind = CommitOutcome::Kind;

const TopicPartition kIn0{"in", PartitionIndex(0)};

std::string_view text(std::string_view view) { return view; }

TestCommit one_row(const ClaimedPartition& claimed, std::int64_t offset) {
  TestCommit batch;
  batch.at(claimed, offset + 1).row(offset, {offset, text("x")});
  return batch;
}

class PostgresSink : public testing::Test {
 protected:
  void SetUp() override {
    world_ = make_postgres_world();
    if (world_ == nullptr) {
      GTEST_SKIP() << "no server; see tests/postgres/run";
    }
    options_.dsn = std::getenv("ONCEFLOW_TEST_POSTGRES_DSN");
    directory_ = std::getenv("ONCEFLOW_TEST_POSTGRES_DIR");
  }

  std::unique_ptr<Sink> make() {
    return std::move(
        *make_postgres_sink(os_.environment(), options_,
                            {"p",
                             "s",
                             "rows",
                             SinkMode::kAppend,
                             {{"id", ColumnType::kInteger}, {"name", ColumnType::kText}}}));
  }
  Result<std::vector<ClaimedPartition>> try_claim(Sink& sink) {
    return run_to_end(os_, sink.claim({kIn0}));
  }
  ClaimedPartition claim(Sink& sink) {
    auto claimed = try_claim(sink);
    EXPECT_TRUE(claimed.has_value()) << claimed.error().text;
    return claimed ? claimed->front() : ClaimedPartition{};
  }
  CommitOutcome commit(Sink& sink, const TestCommit& batch) {
    return run_to_end(os_, sink.commit(batch.commit));
  }
  std::string query(const std::string& sql) { return world_->query(sql); }
  std::unique_ptr<PostgresConnection> connect() {
    return std::move(*PostgresConnection::open({.dsn = options_.dsn}));
  }
  void stop(const std::string& mode) {
    ASSERT_EQ(std::system(("tests/postgres/stop_postgres.sh " + directory_ + " " + mode).c_str()),
              0);
  }
  void start() {
    ASSERT_EQ(std::system(("tests/postgres/start_postgres.sh " + directory_ +
                           " -c max_connections=20 >/dev/null")
                              .c_str()),
              0);
  }

  io::OsEnvironment os_;
  std::unique_ptr<SinkWorld> world_;
  PostgresSinkOptions options_;
  std::string directory_;
};

TEST_F(PostgresSink, a_server_that_is_down_is_a_retriable_error) {
  stop("fast");
  auto sink = make();
  const auto claimed = try_claim(*sink);
  start();
  ASSERT_FALSE(claimed.has_value());
  EXPECT_EQ(claimed.error().code, ErrorCode::kConnectionLost) << claimed.error().text;
  EXPECT_EQ(claimed.error().recovery, Recovery::kRetriable);
  EXPECT_EQ(claim(*sink).epoch, 1);
}

TEST_F(PostgresSink, after_a_crash_of_the_server_what_was_committed_is_there_and_work_goes_on) {
  auto sink = make();
  ClaimedPartition claimed = claim(*sink);
  ASSERT_EQ(commit(*sink, one_row(claimed, 0)).kind, Kind::kCommitted);
  stop("immediate");
  const CommitOutcome lost = commit(*sink, one_row(claimed, 1));
  EXPECT_EQ(lost.kind, Kind::kNotNow) << lost.text;
  start();
  claimed = claim(*sink);
  EXPECT_EQ(claimed.next_offset, Offset(1));
  EXPECT_EQ(claimed.epoch, 2);
  EXPECT_EQ(commit(*sink, one_row(claimed, 1)).kind, Kind::kCommitted);
  EXPECT_EQ(query("SELECT string_agg(id::text, ',' ORDER BY id) FROM rows"), "0,1");
}

TEST_F(PostgresSink, a_backend_that_is_killed_before_the_commit_has_written_nothing) {
  auto sink = make();
  ClaimedPartition claimed = claim(*sink);
  query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'onceflow' "
      "AND pid <> pg_backend_pid()");
  EXPECT_EQ(commit(*sink, one_row(claimed, 0)).kind, Kind::kNotNow);
  claimed = claim(*sink);
  EXPECT_EQ(claimed.next_offset, kNoOffset);
  EXPECT_EQ(commit(*sink, one_row(claimed, 0)).kind, Kind::kCommitted);
  // A claim over a connection that has died unnoticed answers over a fresh one.
  query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'onceflow' "
      "AND pid <> pg_backend_pid()");
  EXPECT_EQ(claim(*sink).next_offset, Offset(1));
}

TEST_F(PostgresSink, a_backend_that_is_killed_in_the_commit_leaves_the_outcome_unknown) {
  auto sink = make();
  claim(*sink);
  query(
      "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN "
      "PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(5); RETURN NULL; END'");
  query(
      "CREATE CONSTRAINT TRIGGER die AFTER INSERT ON rows DEFERRABLE INITIALLY DEFERRED "
      "FOR EACH ROW EXECUTE FUNCTION die()");
  ClaimedPartition claimed = claim(*sink);
  const CommitOutcome outcome = commit(*sink, one_row(claimed, 0));
  EXPECT_EQ(outcome.kind, Kind::kUnknown) << outcome.text;
  query("DROP TRIGGER die ON rows");
  claimed = claim(*sink);
  EXPECT_EQ(claimed.next_offset, kNoOffset);
  EXPECT_EQ(commit(*sink, one_row(claimed, 0)).kind, Kind::kCommitted);
}

TEST_F(PostgresSink, too_many_connections_is_a_retriable_error) {
  std::vector<std::unique_ptr<PostgresConnection>> others;
  for (;;) {
    auto other = PostgresConnection::open({.dsn = options_.dsn});
    if (!other) {
      break;
    }
    others.push_back(std::move(*other));
  }
  auto sink = make();
  const auto claimed = try_claim(*sink);
  ASSERT_FALSE(claimed.has_value());
  EXPECT_EQ(claimed.error().recovery, Recovery::kRetriable) << claimed.error().text;
  others.clear();
  // The server takes a moment to see that they have gone.
  for (int attempt = 0; attempt < 100 && !try_claim(*sink); ++attempt) {
    os_.loop().run_for(milliseconds(50));
  }
  EXPECT_GT(claim(*sink).epoch, 1);
}

TEST_F(PostgresSink, a_lock_that_another_holds_ends_in_a_timeout_and_not_in_a_hang) {
  options_.lock_timeout = milliseconds(300);
  auto sink = make();
  ClaimedPartition claimed = claim(*sink);
  auto other = connect();
  ASSERT_TRUE(other->execute("BEGIN; LOCK TABLE rows IN ACCESS EXCLUSIVE MODE").has_value());
  const CommitOutcome outcome = commit(*sink, one_row(claimed, 0));
  EXPECT_EQ(outcome.kind, Kind::kNotNow);
  EXPECT_TRUE(outcome.text.contains("lock timeout")) << outcome.text;
  ASSERT_TRUE(other->execute("ROLLBACK").has_value());
  claimed = claim(*sink);
  EXPECT_EQ(claimed.next_offset, kNoOffset);
  EXPECT_EQ(commit(*sink, one_row(claimed, 0)).kind, Kind::kCommitted);
}

TEST_F(PostgresSink, a_statement_that_takes_too_long_is_cancelled) {
  options_.statement_timeout = milliseconds(1500);
  auto sink = make();
  ClaimedPartition claimed = claim(*sink);
  query(
      "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS "
      "'BEGIN PERFORM pg_sleep(10); RETURN NEW; END'");
  query("CREATE TRIGGER slow BEFORE INSERT ON rows FOR EACH ROW EXECUTE FUNCTION slow()");
  const CommitOutcome outcome = commit(*sink, one_row(claimed, 0));
  EXPECT_EQ(outcome.kind, Kind::kNotNow);
  EXPECT_TRUE(outcome.text.contains("statement timeout")) << outcome.text;
}

// The kernel of a frozen server still acknowledges, so only our own deadline ends the wait.
TEST_F(PostgresSink, a_server_that_is_frozen_does_not_hang_us) {
  options_.statement_timeout = milliseconds(1500);
  auto sink = make();
  const ClaimedPartition claimed = claim(*sink);
  const int backend =
      std::stoi(query("SELECT pid FROM pg_stat_activity WHERE application_name = 'onceflow' "
                      "AND pid <> pg_backend_pid()"));
  ASSERT_EQ(::kill(backend, SIGSTOP), 0);
  const CommitOutcome outcome = commit(*sink, one_row(claimed, 0));
  ::kill(backend, SIGCONT);
  EXPECT_EQ(outcome.kind, Kind::kNotNow);
  EXPECT_TRUE(outcome.text.contains("no answer within")) << outcome.text;
  EXPECT_EQ(commit(*sink, one_row(claim(*sink), 0)).kind, Kind::kCommitted);
}

TEST_F(PostgresSink, a_zombie_that_stopped_in_its_transaction_holds_up_a_claim_only_so_long) {
  auto zombie = connect();
  auto sink = make();
  claim(*sink);
  ASSERT_TRUE(zombie
                  ->execute("SET idle_in_transaction_session_timeout = 500; BEGIN; "
                            "UPDATE onceflow_positions SET next_offset = 99")
                  .has_value());
  const ClaimedPartition claimed = claim(*make());
  EXPECT_EQ(claimed.next_offset, kNoOffset);
  EXPECT_EQ(claimed.epoch, 2);
}

TEST_F(PostgresSink, a_row_that_only_the_commit_refuses_is_named) {
  query("CREATE TABLE owners (id bigint PRIMARY KEY)");
  query("INSERT INTO owners SELECT generate_series(0, 50)");
  query(
      "CREATE TABLE rows (id bigint REFERENCES owners DEFERRABLE INITIALLY DEFERRED, name text, "
      "onceflow_source text)");
  auto sink = make();
  const ClaimedPartition claimed = claim(*sink);
  TestCommit batch;
  batch.at(claimed, 60);
  for (std::int64_t offset = 40; offset < 60; ++offset) {
    batch.row(offset, {offset, text("x")});
  }
  const CommitOutcome outcome = commit(*sink, batch);
  EXPECT_EQ(outcome.kind, Kind::kRefused) << outcome.text;
  EXPECT_EQ(outcome.refused_row, 11u);
  EXPECT_TRUE(outcome.text.contains("foreign key")) << outcome.text;
  EXPECT_EQ(query("SELECT count(*) FROM rows"), "0");
}

TEST_F(PostgresSink, text_that_the_server_cannot_store_is_refused_by_number) {
  auto sink = make();
  const ClaimedPartition claimed = claim(*sink);
  TestCommit batch;
  batch.at(claimed, 3)
      .row(0, {std::int64_t{0}, text("good")})
      .row(1, {std::int64_t{1}, std::string_view("nul\0l", 5)})
      .row(2, {std::int64_t{2}, text("bad \xff utf-8")});
  const CommitOutcome outcome = commit(*sink, batch);
  EXPECT_EQ(outcome.kind, Kind::kRefused) << outcome.text;
  EXPECT_EQ(outcome.refused_row, 1u);
}

TEST_F(PostgresSink, narrow_integers_are_checked_before_they_are_sent) {
  query("CREATE TABLE rows (id smallint, name varchar(3), onceflow_source text)");
  auto sink = make();
  const ClaimedPartition claimed = claim(*sink);
  TestCommit batch;
  batch.at(claimed, 2)
      .row(0, {std::int64_t{32767}, text("x")})
      .row(1, {std::int64_t{32768}, text("y")});
  const CommitOutcome outcome = commit(*sink, batch);
  EXPECT_EQ(outcome.kind, Kind::kRefused);
  EXPECT_EQ(outcome.refused_row, 1u);
  TestCommit too_long;
  too_long.at(claimed, 1).row(0, {std::int64_t{1}, text("four")});
  EXPECT_EQ(commit(*sink, too_long).kind, Kind::kRefused);
}

TEST_F(PostgresSink, a_user_or_database_that_is_not_there_is_refused_and_no_secret_is_said) {
  options_.dsn = "postgresql://nobody:hush@" + options_.dsn.substr(options_.dsn.find('@') + 1);
  const auto stranger = try_claim(*make());
  ASSERT_FALSE(stranger.has_value());
  EXPECT_EQ(stranger.error().code, ErrorCode::kRefused) << stranger.error().text;
  EXPECT_FALSE(stranger.error().text.contains("hush")) << stranger.error().text;
  options_.dsn = "password=hush nonsense";
  const auto nonsense = try_claim(*make());
  ASSERT_FALSE(nonsense.has_value());
  EXPECT_EQ(nonsense.error().code, ErrorCode::kRefused);
  EXPECT_FALSE(nonsense.error().text.contains("hush")) << nonsense.error().text;
}

}  // namespace
}  // namespace onceflow::connectors
