// A right that a user of PostgreSQL lacks is told as the GRANT that gives it: each is taken away
// alone, and what the message says is carried out. Needs a server (tests/postgres/run).
#include "connectors/postgres_rights.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>

#include "connectors/postgres_sink.h"
#include "connectors/sink_past.h"
#include "connectors/sink_world_testing.h"

namespace onceflow::connectors {
namespace {

using Kind = CommitOutcome::Kind;

const TopicPartition kIn0{"in", PartitionIndex(0)};

class PostgresRights : public testing::TestWithParam<SinkMode> {
 protected:
  void SetUp() override {
    world_ = make_postgres_world();
    if (world_ == nullptr) {
      GTEST_SKIP() << "no server; see tests/postgres/run";
    }
    owner_.dsn = clerk_.dsn = std::getenv("ONCEFLOW_TEST_POSTGRES_DSN");
    clerk_.dsn.replace(clerk_.dsn.find("onceflow@"), 9, "clerk@");
    query("DROP SCHEMA IF EXISTS shop CASCADE; CREATE SCHEMA shop");
    query(
        "DO $$BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'clerk') THEN"
        " EXECUTE 'DROP OWNED BY clerk'; ELSE EXECUTE 'CREATE ROLE clerk LOGIN'; END IF; END$$");
    query("GRANT CONNECT ON DATABASE onceflow TO clerk");
  }
  void TearDown() override {
    if (world_ != nullptr) {
      query("GRANT CONNECT, TEMP ON DATABASE onceflow TO PUBLIC");
      query("DROP SCHEMA IF EXISTS shop CASCADE; DROP OWNED BY clerk; DROP ROLE clerk");
    }
  }

  bool upserts() const { return GetParam() == SinkMode::kUpsert; }

  /// One record in a new commit, as a worker does it: an answer that is not final is asked again.
  std::string write(const PostgresSinkOptions& options, bool is_delete = false) {
    const auto sink = std::move(*make_postgres_sink(
        os_.environment(), options,
        {"p",
         "s",
         table_,
         GetParam(),
         {{"id", ColumnType::kInteger, upserts()}, {"name", ColumnType::kText}}}));
    std::string text;
    for (int time = 0; time < 2; ++time) {
      const auto claimed = run_to_end(os_, sink->claim({kIn0}));
      if (!claimed) {
        return claimed.error().text;
      }
      const std::int64_t offset = std::max<std::int64_t>(0, claimed->front().next_offset.value);
      TestCommit batch;
      batch.at(claimed->front(), offset + 1);
      if (is_delete) {
        batch.remove(offset, {offset, std::monostate{}});
      } else {
        batch.row(offset, {offset, std::string_view("x")});
      }
      batch.commit.receipt = "receipt";
      const CommitOutcome outcome = run_to_end(os_, sink->commit(batch.commit));
      if (outcome.kind == Kind::kCommitted) {
        return "";
      }
      text = outcome.text;
    }
    return text;
  }

  void query(const std::string& sql) { world_->query(sql); }

  /// What the owner makes, and all that the clerk needs.
  void make_tables() {
    query("CREATE TABLE shop.rows (no bigint DEFAULT nextval('shop.numbers'), id bigint" +
          std::string(upserts() ? " PRIMARY KEY" : "") + ", name text, onceflow_source text)");
    ASSERT_EQ(write(owner_), "");
    query("GRANT USAGE ON SCHEMA public, shop TO clerk");
    query("GRANT USAGE ON SEQUENCE shop.numbers TO clerk");
    query("GRANT SELECT, INSERT, UPDATE ON onceflow_positions TO clerk");
    query("GRANT SELECT, INSERT ON onceflow_receipts TO clerk");
    query("GRANT SELECT, INSERT" + std::string(upserts() ? ", UPDATE, DELETE" : "") +
          " ON shop.rows TO clerk");
    ASSERT_EQ(write(clerk_), "");
  }

  /// The fix of the message, carried out as it is written.
  void carry_out(const std::string& said) {
    constexpr std::string_view kFix = "the fix: ";
    const std::size_t begin = said.find(kFix);
    ASSERT_NE(begin, std::string::npos) << said;
    query(said.substr(begin + kFix.size()));
  }

  SinkTable of_reset() const { return {"p", "s", table_, {}, {}}; }
  static std::string said_of(const Status& done) { return done ? "" : done.error().text; }
  /// What reading it for a reset refuses.
  std::string look_back() const {
    const auto past = read_postgres_past(clerk_, of_reset());
    return past ? "" : past.error().text;
  }

  void is_mended(const std::string& revoke, const std::string& grant, bool is_delete = false) {
    query(revoke);
    const std::string said = write(clerk_, is_delete);
    EXPECT_TRUE(said.contains("; the fix: " + grant + " TO clerk") && said.ends_with(" TO clerk"))
        << revoke << ": " << said;
    carry_out(said);
    EXPECT_EQ(write(clerk_, is_delete), "") << revoke;
  }

  io::OsEnvironment os_;
  std::unique_ptr<SinkWorld> world_;
  PostgresSinkOptions owner_;
  PostgresSinkOptions clerk_;
  std::string table_ = "shop.rows";
};

TEST_P(PostgresRights, one_that_is_missing_is_said_with_its_grant) {
  query("CREATE SEQUENCE shop.numbers");
  make_tables();
  is_mended("REVOKE USAGE ON SCHEMA shop FROM clerk", "GRANT USAGE ON SCHEMA shop");
  is_mended("REVOKE USAGE ON SEQUENCE shop.numbers FROM clerk",
            "GRANT USAGE ON SEQUENCE shop.numbers");
  is_mended("REVOKE INSERT ON shop.rows FROM clerk", "GRANT INSERT ON shop.rows");
  for (const std::string right : {"SELECT", "INSERT", "UPDATE"}) {
    is_mended("REVOKE " + right + " ON onceflow_positions FROM clerk",
              "GRANT " + right + " ON public.onceflow_positions");
  }
  for (const std::string right : {"SELECT", "INSERT"}) {
    is_mended("REVOKE " + right + " ON onceflow_receipts FROM clerk",
              "GRANT " + right + " ON public.onceflow_receipts");
  }
  if (upserts()) {
    for (const std::string right : {"SELECT", "UPDATE"}) {
      is_mended("REVOKE " + right + " ON shop.rows FROM clerk", "GRANT " + right + " ON shop.rows");
    }
    is_mended("REVOKE DELETE ON shop.rows FROM clerk", "GRANT DELETE ON shop.rows", true);
  }
  is_mended("REVOKE ALL ON onceflow_positions, onceflow_receipts FROM clerk",
            "GRANT SELECT, INSERT ON public.onceflow_receipts TO clerk; GRANT SELECT, INSERT, "
            "UPDATE ON public.onceflow_positions");
  // Neither is needed.
  query("REVOKE TEMP ON DATABASE onceflow FROM PUBLIC; REVOKE ALL ON SCHEMA public FROM PUBLIC");
  EXPECT_EQ(write(clerk_), "");
}

TEST_P(PostgresRights, all_that_a_reset_needs_is_said_at_once) {
  query("CREATE SEQUENCE shop.numbers");
  make_tables();
  const SinkReset reset{.forgets_receipts = true, .deletes_rows = true};
  const std::string said = said_of(check_postgres_rights(clerk_, of_reset(), reset));
  EXPECT_TRUE(said.ends_with("the fix: GRANT DELETE ON public.onceflow_receipts TO clerk" +
                             std::string(upserts() ? "" : "; GRANT DELETE ON shop.rows TO clerk")))
      << said;
  EXPECT_TRUE(said_of(reset_postgres_sink(clerk_, of_reset(), reset, ResetRun::kTrial))
                  .ends_with(said.substr(said.find("the fix: "))));
  carry_out(said);
  EXPECT_EQ(said_of(check_postgres_rights(clerk_, of_reset(), reset)), "");
  EXPECT_EQ(said_of(reset_postgres_sink(clerk_, of_reset(), reset, ResetRun::kTrial)), "");
  EXPECT_EQ(world_->query("SELECT count(*) FROM shop.rows"), "2");
  EXPECT_EQ(world_->query("SELECT count(*) FROM onceflow_receipts"), "2");
  EXPECT_EQ(said_of(reset_postgres_sink(clerk_, of_reset(), reset)), "");
  EXPECT_EQ(world_->query("SELECT count(*) FROM shop.rows"), "0");
}

TEST_P(PostgresRights, hidden_rows_are_not_taken_for_none) {
  query("CREATE SEQUENCE shop.numbers");
  make_tables();
  for (const std::string name : {"onceflow_positions", "onceflow_receipts"}) {
    const std::string fix = "the fix: ALTER TABLE public." + name + " DISABLE ROW LEVEL SECURITY";
    for (const auto& look :
         {std::function([&] { return look_back(); }), std::function([&] { return write(clerk_); }),
          std::function([&] {
            return said_of(check_postgres_rights(clerk_, of_reset(), {.forgets_receipts = false}));
          })}) {
      query("ALTER TABLE " + name + " ENABLE ROW LEVEL SECURITY");
      const std::string said = look();
      EXPECT_TRUE(said.ends_with(fix)) << said;
      carry_out(said);
      EXPECT_EQ(look(), "");
    }
  }
}

TEST_P(PostgresRights, a_hidden_schema_is_not_taken_for_an_empty_one) {
  query("CREATE SEQUENCE shop.numbers");
  make_tables();
  query("REVOKE ALL ON SCHEMA public FROM PUBLIC, clerk");
  const std::string said = look_back();
  EXPECT_TRUE(said.ends_with("the fix: GRANT USAGE ON SCHEMA public TO clerk")) << said;
  EXPECT_FALSE(read_postgres_receipts(clerk_, of_reset()).has_value());
  carry_out(said);
  EXPECT_EQ(look_back(), "");
}

TEST_P(PostgresRights, to_make_temporary_tables_is_said_where_a_table_is_shared) {
  query("CREATE SEQUENCE shop.numbers");
  make_tables();
  query("REVOKE TEMP ON DATABASE onceflow FROM PUBLIC");
  EXPECT_EQ(look_back(), "");
  query(
      "INSERT INTO onceflow_positions SELECT 'q', stage, topic, partition, next_offset, epoch, "
      "topic_id, table_id FROM onceflow_positions");
  const std::string said = look_back();
  EXPECT_TRUE(said.ends_with("the fix: GRANT TEMPORARY ON DATABASE onceflow TO clerk")) << said;
  query("GRANT TEMPORARY ON DATABASE onceflow TO clerk; DELETE FROM onceflow_receipts");
  EXPECT_EQ(look_back(), "");
}

TEST_P(PostgresRights, columns_that_only_the_owner_adds_are_said) {
  query("CREATE SEQUENCE shop.numbers");
  make_tables();
  query("ALTER TABLE onceflow_positions DROP COLUMN topic_id, DROP COLUMN table_id");
  const std::string said = write(clerk_);
  EXPECT_TRUE(said.contains("the fix: ALTER TABLE public.onceflow_positions ADD COLUMN")) << said;
  carry_out(said);
  EXPECT_EQ(write(clerk_), "");
}

TEST_P(PostgresRights, to_connect_is_said_with_its_grant) {
  query("CREATE SEQUENCE shop.numbers");
  make_tables();
  query("REVOKE CONNECT ON DATABASE onceflow FROM PUBLIC, clerk");
  const std::string said = write(clerk_);
  EXPECT_TRUE(said.ends_with("the fix: GRANT CONNECT ON DATABASE \"onceflow\" TO \"clerk\""))
      << said;
  carry_out(said);
  EXPECT_EQ(write(clerk_), "");
}

TEST_P(PostgresRights, to_make_the_tables_is_said_with_its_grant) {
  query("REVOKE ALL ON SCHEMA public FROM PUBLIC; GRANT USAGE ON SCHEMA shop, public TO clerk");
  const std::string said = write(clerk_);
  EXPECT_TRUE(
      said.ends_with("the fix: GRANT CREATE ON SCHEMA public TO clerk; GRANT CREATE ON "
                     "SCHEMA shop TO clerk"))
      << said;
  carry_out(said);
  EXPECT_EQ(write(clerk_), "");
}

TEST_P(PostgresRights, to_see_a_schema_is_said_before_other_tables_are_made) {
  query("CREATE SEQUENCE shop.numbers");
  make_tables();
  query("REVOKE ALL ON SCHEMA public FROM PUBLIC, clerk");
  query("GRANT USAGE, CREATE ON SCHEMA shop TO clerk");
  query("ALTER ROLE clerk SET search_path = public, shop");
  const std::string said = write(clerk_);
  EXPECT_TRUE(
      said.contains("table public.onceflow_positions is in a schema that user clerk may "
                    "not use"))
      << said;
  EXPECT_TRUE(said.ends_with("the fix: GRANT USAGE ON SCHEMA public TO clerk")) << said;
  EXPECT_EQ(world_->query("SELECT to_regclass('shop.onceflow_positions')"), "null");
  carry_out(said);
  EXPECT_EQ(write(clerk_), "");
}

TEST_P(PostgresRights, to_raise_the_ids_of_receipts_is_said_where_they_lag) {
  query("CREATE SEQUENCE shop.numbers");
  make_tables();
  // Rows that were copied back leave the sequence where it was; here beside older ones, which a
  // unique key would not notice.
  for (const std::string copied :
       {"SELECT setval('onceflow_receipts_receipt_id_seq', 1, false)",
        "UPDATE onceflow_receipts SET receipt_id = DEFAULT; DELETE FROM onceflow_receipts WHERE "
        "receipt_id < (SELECT max(receipt_id) FROM onceflow_receipts); INSERT INTO "
        "onceflow_receipts OVERRIDING SYSTEM VALUE SELECT receipt_id + 100, pipeline, stage, "
        "receipt FROM onceflow_receipts"}) {
    query(copied);
    const std::string said = write(clerk_);
    EXPECT_TRUE(
        said.ends_with("the fix: GRANT SELECT, UPDATE ON SEQUENCE "
                       "onceflow_receipts_receipt_id_seq TO clerk"))
        << said;
    carry_out(said);
    EXPECT_EQ(write(clerk_), "");
    query("REVOKE ALL ON SEQUENCE onceflow_receipts_receipt_id_seq FROM clerk");
    EXPECT_EQ(write(clerk_), "") << "without the right nothing is amiss where nothing lags";
  }
}

INSTANTIATE_TEST_SUITE_P(Modes, PostgresRights,
                         testing::Values(SinkMode::kAppend, SinkMode::kUpsert),
                         [](const auto& each) {
                           return each.param == SinkMode::kUpsert ? "upsert" : "append";
                         });

}  // namespace
}  // namespace onceflow::connectors
