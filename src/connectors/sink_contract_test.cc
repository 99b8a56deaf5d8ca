// The contract of sink.h, held against every real sink. PostgreSQL's part runs where a server is
// given (tests/postgres/run).
#include <gtest/gtest.h>

#include "connectors/sink_world_testing.h"
#include "protocol/receipt.h"

namespace onceflow::connectors {
namespace {

using Kind = CommitOutcome::Kind;
using WorldMaker = std::unique_ptr<SinkWorld> (*)();

const TopicPartition kIn0{"in", PartitionIndex(0)};
const TopicPartition kIn1{"in", PartitionIndex(1)};

std::string_view text(std::string_view view) { return view; }

class SinkContract : public testing::TestWithParam<std::pair<const char*, WorldMaker>> {
 protected:
  void SetUp() override {
    world_ = GetParam().second();
    if (world_ == nullptr) {
      GTEST_SKIP() << "no server; see tests/postgres/run";
    }
  }

  std::unique_ptr<Sink> make(SinkTable table) {
    return world_->make_sink(os_.environment(), std::move(table));
  }
  std::vector<ClaimedPartition> claim(Sink& sink, std::vector<TopicPartition> partitions = {kIn0}) {
    auto claimed = run_to_end(os_, sink.claim(std::move(partitions)));
    EXPECT_TRUE(claimed.has_value()) << claimed.error().text;
    return claimed ? *claimed : std::vector<ClaimedPartition>(2);
  }
  CommitOutcome commit(Sink& sink, const TestCommit& batch) {
    return run_to_end(os_, sink.commit(batch.commit));
  }
  std::string query(const std::string& sql) { return world_->query(sql); }

  static SinkTable append_table() {
    return {
        "p",
        "s",
        "rows",
        SinkMode::kAppend,
        {{"id", ColumnType::kInteger}, {"name", ColumnType::kText}, {"price", ColumnType::kReal}}};
  }
  static SinkTable upsert_table() {
    return {"p",
            "s",
            "totals",
            SinkMode::kUpsert,
            {{"region", ColumnType::kText, true},
             {"day", ColumnType::kInteger, true},
             {"revenue", ColumnType::kReal}}};
  }

  io::OsEnvironment os_;
  std::unique_ptr<SinkWorld> world_;
};

TEST_P(SinkContract, a_first_claim_finds_no_position_and_each_claim_raises_the_epoch) {
  auto sink = make(append_table());
  auto claimed = claim(*sink, {kIn1, kIn0});
  ASSERT_EQ(claimed.size(), 2u);
  EXPECT_EQ(claimed[0].source, kIn1);
  EXPECT_EQ(claimed[0].epoch, 1);
  EXPECT_EQ(claimed[0].next_offset, kNoOffset);
  EXPECT_EQ(claim(*sink, {kIn0})[0].epoch, 2);
  EXPECT_EQ(claim(*make(append_table()), {kIn0, kIn1})[1].epoch, 2);
}

TEST_P(SinkContract, a_look_finds_what_a_claim_would_and_changes_nothing) {
  const auto look = [this](SinkTable table) {
    auto sink = make(std::move(table));
    return run_to_end(os_, sink->look({kIn0, kIn1}));
  };
  const auto nothing = look(append_table());
  ASSERT_TRUE(nothing.has_value()) << nothing.error().text;
  ASSERT_EQ(nothing->size(), 2u);
  EXPECT_EQ((*nothing)[1].source, kIn1);
  EXPECT_EQ((*nothing)[1].next_offset, kNoOffset);

  auto sink = make(append_table());
  auto claimed = claim(*sink, {kIn0, kIn1});
  EXPECT_EQ(claimed[0].epoch, 1);  // so the look has made no claim
  TestCommit batch;
  batch.at(claimed[0], 12).row(10, {std::int64_t{1}, text("a"), 1.5});
  ASSERT_EQ(commit(*sink, batch).kind, Kind::kCommitted);
  const auto found = look(append_table());
  ASSERT_TRUE(found.has_value()) << found.error().text;
  EXPECT_EQ((*found)[0].next_offset, Offset(12));
  EXPECT_EQ((*found)[1].next_offset, kNoOffset);

  TestCommit next;
  next.at({kIn0, claimed[0].epoch, Offset(12)}, 13).row(12, {std::int64_t{2}, text("b"), 2.5});
  EXPECT_EQ(commit(*sink, next).kind, Kind::kCommitted) << "the claim is still its own";
  SinkTable other = append_table();
  other.columns.push_back({"missing", ColumnType::kText});
  const auto refused = look(other);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kRefused);
}

TEST_P(SinkContract, rows_positions_and_receipt_are_committed_together) {
  auto sink = make(append_table());
  auto claimed = claim(*sink);
  TestCommit batch;
  batch.at(claimed[0], 12)
      .row(10, {std::int64_t{9007199254740993}, text("Köln"), 1.5})
      .row(11, {Value(), Value(), std::int64_t{2}});
  batch.commit.receipt = std::string("r\0r", 3);
  const CommitOutcome outcome = commit(*sink, batch);
  ASSERT_EQ(outcome.kind, Kind::kCommitted) << outcome.text;
  EXPECT_EQ(query("SELECT id, name, onceflow_source FROM rows ORDER BY onceflow_source"),
            "9007199254740993|Köln|in/0/10\nnull|null|in/0/11");
  EXPECT_EQ(query("SELECT sum(price) = 3.5 FROM rows").substr(0, 1).find_first_of("1t"), 0u);
  EXPECT_EQ(
      query("SELECT pipeline, stage, topic, partition, next_offset, epoch FROM onceflow_positions"),
      "p|s|in|0|12|1");
  EXPECT_EQ(query("SELECT count(*), max(length(receipt)) FROM onceflow_receipts"), "1|3");
  const auto positions = run_to_end(os_, sink->read_positions({kIn0, kIn1}));
  ASSERT_TRUE(positions.has_value());
  EXPECT_EQ((*positions)[0].next_offset, Offset(12));
  EXPECT_EQ((*positions)[1].next_offset, kNoOffset);
}

TEST_P(SinkContract, the_receipts_of_each_stage_name_its_definition_and_its_beginning) {
  const auto definitions = [this](Sink& sink) {
    const auto read = run_to_end(os_, sink.receipts_by_stage());
    EXPECT_TRUE(read.has_value()) << read.error().text;
    return read.value_or(protocol::ReceiptsByStage{{"failed", {}}});
  };
  auto sink = make(append_table());
  EXPECT_EQ(definitions(*sink), protocol::ReceiptsByStage());  // and nothing was made
  auto claimed = claim(*sink);
  EXPECT_EQ(definitions(*sink), protocol::ReceiptsByStage());
  std::int64_t next = 0;
  for (const std::uint64_t definition : {7U, 9U}) {
    TestCommit batch;
    batch.from(claimed[0], next == 0 ? -1 : next, next + 1);
    protocol::Receipt receipt{.pipeline = "p", .stage = "s", .definition = definition};
    receipt.inputs = {{.source = kIn0,
                       .beginning = next == 0 ? protocol::Receipt::Beginning::kReset
                                              : protocol::Receipt::Beginning::kNone}};
    const Buffer bytes = protocol::encode_receipt(receipt);
    batch.commit.receipt = std::string(as_text(bytes));
    ASSERT_EQ(commit(*sink, batch).kind, Kind::kCommitted);
    ++next;
  }
  EXPECT_EQ(definitions(*sink),
            (protocol::ReceiptsByStage{{"s", {9, protocol::Receipt::Beginning::kReset}}}));
  SinkTable other = append_table();
  other.pipeline = "q";
  EXPECT_EQ(definitions(*make(other)), protocol::ReceiptsByStage());
}

TEST_P(SinkContract, a_commit_without_rows_moves_positions) {
  auto sink = make(append_table());
  auto claimed = claim(*sink);
  ASSERT_EQ(commit(*sink, TestCommit().at(claimed[0], 5)).kind, Kind::kCommitted);
  EXPECT_EQ(claim(*sink)[0].next_offset, Offset(5));
}

// SNK-1.
TEST_P(SinkContract, a_zombie_writes_nothing) {
  auto zombie = make(append_table());
  auto old_claim = claim(*zombie, {kIn0, kIn1});
  auto successor = make(append_table());
  auto new_claim = claim(*successor, {kIn1});
  TestCommit late;
  late.at(old_claim[0], 1).at(old_claim[1], 1).row(0, {std::int64_t{1}, text("zombie"), 0.0});
  const CommitOutcome outcome = commit(*zombie, late);
  EXPECT_EQ(outcome.kind, Kind::kFenced) << outcome.text;
  EXPECT_EQ(query("SELECT count(*) FROM rows"), "0");
  EXPECT_EQ(query("SELECT max(next_offset) FROM onceflow_positions"), "-1");
  EXPECT_EQ(query("SELECT count(*) FROM onceflow_receipts"), "0");
  TestCommit good;
  good.at(new_claim[0], 1).row(0, {std::int64_t{1}, text("successor"), 0.0});
  EXPECT_EQ(commit(*successor, good).kind, Kind::kCommitted);
  EXPECT_EQ(query("SELECT name FROM rows"), "successor");
}

TEST_P(SinkContract, the_last_word_on_a_key_is_its_row) {
  auto sink = make(upsert_table());
  auto claimed = claim(*sink);
  TestCommit first;
  first.at(claimed[0], 4)
      .row(0, {text("eu"), std::int64_t{1}, 10.0})
      .row(1, {text("us"), std::int64_t{1}, 5.0})
      .row(2, {text("eu"), std::int64_t{1}, 20.0})
      .row(3, {text("eu"), std::int64_t{2}, 1.0});
  ASSERT_EQ(commit(*sink, first).kind, Kind::kCommitted);
  const std::string all =
      "SELECT region, day, cast(revenue AS integer), onceflow_source FROM totals ORDER BY 1, 2";
  EXPECT_EQ(query(all), "eu|1|20|in/0/2\neu|2|1|in/0/3\nus|1|5|in/0/1");
  TestCommit second;
  second.from(claimed[0], 4, 9)
      .row(4, {text("us"), std::int64_t{1}, 6.0})
      .remove(5, {text("us"), std::int64_t{1}, Value()})
      .remove(6, {text("eu"), std::int64_t{1}, Value()})
      .row(7, {text("eu"), std::int64_t{1}, 30.0})
      .remove(8, {text("none"), std::int64_t{1}, Value()});
  const CommitOutcome outcome = commit(*sink, second);
  ASSERT_EQ(outcome.kind, Kind::kCommitted) << outcome.text;
  EXPECT_EQ(query(all), "eu|1|30|in/0/7\neu|2|1|in/0/3");
}

TEST_P(SinkContract, a_row_that_does_not_fit_is_refused_by_number) {
  auto sink = make(append_table());
  auto claimed = claim(*sink);
  TestCommit batch;
  batch.at(claimed[0], 3)
      .row(0, {std::int64_t{1}, text("a"), 0.0})
      .row(1, {1.5, text("b"), 0.0})
      .row(2, {std::int64_t{3}, text("c"), 0.0});
  const CommitOutcome outcome = commit(*sink, batch);
  EXPECT_EQ(outcome.kind, Kind::kRefused);
  EXPECT_EQ(outcome.refused_row, 1u);
  EXPECT_EQ(outcome.text, "column id is integer but got the real 1.5");
  EXPECT_EQ(query("SELECT count(*) FROM rows"), "0");
  EXPECT_EQ(query("SELECT next_offset FROM onceflow_positions"), "-1");
}

TEST_P(SinkContract, a_row_against_the_tables_own_rules_is_refused_by_number) {
  query(
      "CREATE TABLE rows (id bigint, name text, price double precision CHECK (price >= 0), "
      "onceflow_source text)");
  auto sink = make(append_table());
  auto claimed = claim(*sink);
  TestCommit batch;
  batch.at(claimed[0], 100);
  for (std::int64_t offset = 0; offset < 100; ++offset) {
    batch.row(offset, {offset, text("x"), offset == 77 ? -1.0 : 1.0});
  }
  const CommitOutcome outcome = commit(*sink, batch);
  EXPECT_EQ(outcome.kind, Kind::kRefused) << outcome.text;
  EXPECT_EQ(outcome.refused_row, 77u);
  EXPECT_EQ(query("SELECT count(*) FROM rows"), "0");
  // The sink goes on: the position has not moved, and a batch without that row is taken.
  TestCommit good;
  good.at(claimed[0], 1).row(0, {std::int64_t{0}, text("x"), 1.0});
  EXPECT_EQ(commit(*sink, good).kind, Kind::kCommitted);
}

TEST_P(SinkContract, a_null_in_a_key_is_refused) {
  auto sink = make(upsert_table());
  auto claimed = claim(*sink);
  TestCommit batch;
  batch.at(claimed[0], 1).row(0, {Value(), std::int64_t{1}, 1.0});
  const CommitOutcome outcome = commit(*sink, batch);
  EXPECT_EQ(outcome.kind, Kind::kRefused);
  EXPECT_EQ(outcome.text, "key column region is null");
}

TEST_P(SinkContract, an_existing_table_that_does_not_fit_is_refused_by_column) {
  const std::vector<std::pair<std::string, std::string>> tables = {
      {"id bigint, name text, onceflow_source text", "it has no column price"},
      {"id bigint, name text, price double precision", "it has no column onceflow_source"},
      {"id text, name text, price double precision, onceflow_source text", "column id is "},
      {"id bigint, name text, price double precision, onceflow_source text, extra bigint NOT NULL",
       "column extra is NOT NULL and has no default"},
  };
  for (const auto& [columns, message] : tables) {
    query("CREATE TABLE rows (" + columns + ")");
    auto sink = make(append_table());
    const auto claimed = run_to_end(os_, sink->claim({kIn0}));
    ASSERT_FALSE(claimed.has_value()) << columns;
    EXPECT_EQ(claimed.error().code, ErrorCode::kRefused);
    EXPECT_TRUE(claimed.error().text.contains(message)) << claimed.error().text;
    EXPECT_TRUE(claimed.error().text.contains("the fix: ")) << claimed.error().text;
    query("DROP TABLE rows");
  }
}

TEST_P(SinkContract, all_that_does_not_fit_of_a_table_is_said_at_once) {
  query("CREATE TABLE rows (id text, name bytea, extra bigint NOT NULL)");
  const auto claimed = run_to_end(os_, make(append_table())->claim({kIn0}));
  ASSERT_FALSE(claimed.has_value());
  for (const char* const word :
       {"does not fit in", "(1) column id is ", "it has no column price",
        "it has no column onceflow_source", "column extra is NOT NULL and has no default"}) {
    EXPECT_TRUE(claimed.error().text.contains(word)) << word << ": " << claimed.error().text;
  }
}

TEST_P(SinkContract, an_upsert_needs_a_unique_key_in_an_existing_table) {
  query(
      "CREATE TABLE totals (region text, day bigint, revenue double precision, "
      "onceflow_source text)");
  auto sink = make(upsert_table());
  const auto claimed = run_to_end(os_, sink->claim({kIn0}));
  ASSERT_FALSE(claimed.has_value());
  EXPECT_EQ(claimed.error().code, ErrorCode::kRefused);
  EXPECT_TRUE(claimed.error().text.contains("CREATE UNIQUE INDEX")) << claimed.error().text;
  query("CREATE UNIQUE INDEX totals_key ON totals (day, region)");
  EXPECT_EQ(claim(*sink)[0].epoch, 1);
}

TEST_P(SinkContract, a_table_that_went_is_not_made_anew_behind_its_positions) {
  auto sink = make(append_table());
  auto claimed = claim(*sink);
  TestCommit batch;
  batch.at(claimed[0], 1).row(0, {std::int64_t{1}, text("a"), 0.0});
  ASSERT_EQ(commit(*sink, batch).kind, Kind::kCommitted);
  query("DROP TABLE rows");
  const auto again = run_to_end(os_, make(append_table())->claim({kIn0}));
  ASSERT_FALSE(again.has_value());
  EXPECT_TRUE(again.error().text.contains("table rows is gone")) << again.error().text;
}

TEST_P(SinkContract, many_rows_go_in_one_commit) {
  auto sink = make(upsert_table());
  auto claimed = claim(*sink);
  TestCommit batch;
  batch.at(claimed[0], 25'000);
  std::vector<std::string> names(25'000);
  for (std::int64_t offset = 0; offset < 25'000; ++offset) {
    std::string& name = names[static_cast<std::size_t>(offset)];
    name = "region " + std::to_string(offset % 12'000);
    batch.row(offset, {std::string_view(name), offset % 2, static_cast<double>(offset)});
  }
  const CommitOutcome outcome = commit(*sink, batch);
  ASSERT_EQ(outcome.kind, Kind::kCommitted) << outcome.text;
  EXPECT_EQ(query("SELECT count(*) FROM totals"), "12000");
  // Each of the 12,000 regions comes last between offsets 13,000 and 24,999.
  EXPECT_EQ(
      query("SELECT cast(min(revenue) AS integer), cast(max(revenue) AS integer) FROM totals"),
      "13000|24999");
}

INSTANTIATE_TEST_SUITE_P(Databases, SinkContract,
                         testing::Values(std::pair("sqlite", &make_sqlite_world),
                                         std::pair("postgres", &make_postgres_world)),
                         [](const auto& instance) { return std::string(instance.param.first); });

}  // namespace
}  // namespace onceflow::connectors
