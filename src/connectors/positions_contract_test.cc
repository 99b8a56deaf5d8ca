// What sink.h says of positions and receipts, held against every real sink. PostgreSQL's part runs
// where a server is given (tests/postgres/run).
#include <gtest/gtest.h>

#include "connectors/sink_world_testing.h"
#include "protocol/receipt.h"

namespace onceflow::connectors {
namespace {

using Kind = CommitOutcome::Kind;
using WorldMaker = std::unique_ptr<SinkWorld> (*)();

const TopicPartition kIn0{"in", PartitionIndex(0)};
const TopicPartition kIn1{"in", PartitionIndex(1)};
const TopicPartition kIn2{"in", PartitionIndex(2)};

class PositionsContract : public testing::TestWithParam<std::pair<const char*, WorldMaker>> {
 protected:
  void SetUp() override {
    world_ = GetParam().second();
    if (world_ == nullptr) {
      GTEST_SKIP() << "no server; see tests/postgres/run";
    }
  }

  std::unique_ptr<Sink> make() {
    return world_->make_sink(os_.environment(),
                             {"p", "s", "rows", SinkMode::kAppend, {{"id", ColumnType::kInteger}}});
  }
  std::vector<ClaimedPartition> claim(Sink& sink, std::vector<TopicPartition> partitions) {
    auto claimed = run_to_end(os_, sink.claim(std::move(partitions)));
    EXPECT_TRUE(claimed.has_value()) << claimed.error().text;
    return claimed ? *claimed : std::vector<ClaimedPartition>(3);
  }
  CommitOutcome commit(Sink& sink, const TestCommit& batch) {
    return run_to_end(os_, sink.commit(batch.commit));
  }
  std::string query(const std::string& sql) { return world_->query(sql); }

  /// A receipt for inputs that end at these offsets.
  static std::string receipt(const std::vector<std::pair<TopicPartition, std::int64_t>>& inputs) {
    protocol::Receipt receipt{.pipeline = "p", .stage = "s"};
    for (const auto& [source, next_offset] : inputs) {
      receipt.inputs.push_back({.source = source, .next_offset = Offset(next_offset)});
    }
    const Buffer bytes = encode_receipt(receipt);
    return std::string(as_text(bytes));
  }

  io::OsEnvironment os_;
  std::unique_ptr<SinkWorld> world_;
};

TEST_P(PositionsContract, a_position_that_went_back_or_forward_fences_the_commit_by_name) {
  auto sink = make();
  auto claimed = claim(*sink, {kIn0, kIn1});
  ASSERT_EQ(commit(*sink, TestCommit().at(claimed[0], 100).at(claimed[1], 7)).kind,
            Kind::kCommitted);
  for (const char* moved : {"50", "120"}) {
    query(std::string("UPDATE onceflow_positions SET next_offset = ") + moved +
          " WHERE partition = 0");
    TestCommit next;
    next.from(claimed[0], 100, 101).from(claimed[1], 7, 7).row(100, {std::int64_t{1}});
    const CommitOutcome outcome = commit(*sink, next);
    EXPECT_EQ(outcome.kind, Kind::kFenced);
    EXPECT_TRUE(outcome.text.contains(std::string("the position of in/0 is ") + moved +
                                      " in onceflow_positions, and this worker left it at 100"))
        << outcome.text;
    EXPECT_EQ(query("SELECT count(*) FROM rows"), "0");
  }
}

// A partition that does not move in this commit is looked at all the same.
TEST_P(PositionsContract, a_position_beside_the_one_that_moves_is_checked_too) {
  auto sink = make();
  auto claimed = claim(*sink, {kIn0, kIn1});
  ASSERT_EQ(commit(*sink, TestCommit().at(claimed[0], 5).at(claimed[1], 7)).kind, Kind::kCommitted);
  const auto next = [&] {
    TestCommit batch;
    batch.from(claimed[0], 5, 6).from(claimed[1], 7, 7).row(5, {std::int64_t{1}});
    return batch;
  };
  query("UPDATE onceflow_positions SET next_offset = 3 WHERE partition = 1");
  EXPECT_EQ(commit(*sink, next()).kind, Kind::kFenced);
  query("UPDATE onceflow_positions SET next_offset = 7, epoch = epoch + 1 WHERE partition = 1");
  const CommitOutcome fenced = commit(*sink, next());
  EXPECT_EQ(fenced.kind, Kind::kFenced);
  EXPECT_TRUE(fenced.text.contains("in/1 was claimed by another worker")) << fenced.text;
  query("UPDATE onceflow_positions SET epoch = epoch - 1 WHERE partition = 1");
  EXPECT_EQ(commit(*sink, next()).kind, Kind::kCommitted);
}

TEST_P(PositionsContract, only_rows_that_move_are_written) {
  auto sink = make();
  std::vector<TopicPartition> partitions;
  for (std::int32_t index = 0; index < 500; ++index) {
    partitions.push_back({"in", PartitionIndex(index)});
  }
  const auto claimed = claim(*sink, partitions);
  TestCommit first;
  for (const ClaimedPartition& each : claimed) {
    first.at(each, 0);
  }
  ASSERT_EQ(commit(*sink, first).kind, Kind::kCommitted);
  query("CREATE TABLE written (partition integer)");
  if (std::string_view(GetParam().first) == "sqlite") {
    query(
        "CREATE TRIGGER counts AFTER UPDATE ON onceflow_positions BEGIN"
        " INSERT INTO written VALUES (new.partition); END");
  } else {
    query(
        "CREATE FUNCTION counts() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN INSERT INTO written VALUES (new.partition); RETURN new; END'");
    query(
        "CREATE TRIGGER counts AFTER UPDATE ON onceflow_positions FOR EACH ROW"
        " EXECUTE FUNCTION counts()");
  }
  for (std::int64_t offset = 0; offset < 8; ++offset) {
    TestCommit batch;
    for (std::size_t index = 0; index < claimed.size(); ++index) {
      const bool moves = index == 3;
      batch.from(claimed[index], moves ? offset : 0, moves ? offset + 1 : 0);
    }
    ASSERT_EQ(commit(*sink, batch).kind, Kind::kCommitted);
  }
  EXPECT_EQ(query("SELECT count(*), count(DISTINCT partition) FROM written"), "8|1");
}

TEST_P(PositionsContract, a_partition_that_nobody_has_claimed_is_given_its_position_once) {
  auto sink = make();
  const auto claimed = claim(*sink, {kIn0});
  const auto begin = [&](std::int64_t offset) {
    TestCommit batch;
    batch.from(ClaimedPartition{kIn1, 0}, -1, offset);
    return commit(*sink, batch).kind;
  };
  EXPECT_EQ(begin(12), Kind::kCommitted);
  EXPECT_EQ(begin(15), Kind::kFenced);
  auto other = make();
  const auto later = claim(*other, {kIn1});
  EXPECT_EQ(later[0].epoch, 1);
  EXPECT_EQ(later[0].next_offset, Offset(12));
}

TEST_P(PositionsContract, topic_ids_are_kept_and_stay) {
  auto sink = make();
  auto claimed = claim(*sink, {kIn0, kIn1});
  EXPECT_EQ(claimed[0].topic_id, "");
  TestCommit first;
  first.at(claimed[0], 5).at(claimed[1], 5);
  first.commit.positions[0].topic_id = "AQIDBAUGBwgJCgsMDQ4PEA";
  first.commit.positions[1].topic_id = kUnknownTopicId;
  ASSERT_EQ(commit(*sink, first).kind, Kind::kCommitted);
  TestCommit second;
  second.from(claimed[0], 5, 6).from(claimed[1], 5, 5);
  ASSERT_EQ(commit(*sink, second).kind, Kind::kCommitted);
  claimed = claim(*make(), {kIn0, kIn1});
  EXPECT_EQ(claimed[0].topic_id, "AQIDBAUGBwgJCgsMDQ4PEA");
  EXPECT_EQ(claimed[0].next_offset, Offset(6));
  EXPECT_EQ(claimed[1].topic_id, kUnknownTopicId);
  const auto read = run_to_end(os_, sink->read_positions({kIn0, kIn2}));
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ((*read)[0].topic_id, "AQIDBAUGBwgJCgsMDQ4PEA");
  EXPECT_EQ((*read)[1].epoch, 0);
}

TEST_P(PositionsContract, a_claim_brings_the_newest_receipt_of_each_partition) {
  auto sink = make();
  auto claimed = claim(*sink, {kIn0, kIn1, kIn2});
  std::int64_t from = -1;
  for (const std::int64_t next : {10, 20, 30}) {
    TestCommit batch;
    batch.from(claimed[0], from, next);
    batch.commit.receipt =
        receipt(next == 10 ? std::vector{std::pair(kIn0, next), std::pair(kIn1, std::int64_t{4})}
                           : std::vector{std::pair(kIn0, next)});
    ASSERT_EQ(commit(*sink, batch).kind, Kind::kCommitted);
    from = next;
  }
  TestCommit without;
  without.from(claimed[0], 30, 31);
  without.commit.receipt = "no receipt at all";
  ASSERT_EQ(commit(*sink, without).kind, Kind::kCommitted);
  claimed = claim(*sink, {kIn0, kIn1, kIn2});
  EXPECT_EQ(claimed[0].next_offset, Offset(31));
  EXPECT_EQ(claimed[0].receipt_offset, Offset(30));
  EXPECT_EQ(claimed[1].receipt_offset, Offset(4));
  EXPECT_EQ(claimed[2].receipt_offset, kNoOffset);
  // What it has read is compared with the log.
  ASSERT_TRUE(claimed[0].receipt_input && claimed[1].receipt_input);
  EXPECT_EQ(claimed[0].receipt_input->next_offset, Offset(30));
  EXPECT_FALSE(claimed[2].receipt_input.has_value());
}

TEST_P(PositionsContract, a_table_of_an_earlier_version_is_upgraded_in_place) {
  query(
      "CREATE TABLE onceflow_positions (pipeline text NOT NULL, stage text NOT NULL,"
      " topic text NOT NULL, partition integer NOT NULL, next_offset bigint NOT NULL,"
      " epoch bigint NOT NULL, PRIMARY KEY (pipeline, stage, topic, partition))");
  query("INSERT INTO onceflow_positions VALUES ('p', 's', 'in', 0, 17, 3)");
  query("CREATE TABLE rows (id bigint, onceflow_source text)");
  auto sink = make();
  auto claimed = claim(*sink, {kIn0});
  EXPECT_EQ(claimed[0].next_offset, Offset(17));
  EXPECT_EQ(claimed[0].epoch, 4);
  EXPECT_EQ(claimed[0].topic_id, "");
  TestCommit adopting;
  adopting.from(claimed[0], 17, 17);
  adopting.commit.positions[0].topic_id = "AQIDBAUGBwgJCgsMDQ4PEA";
  ASSERT_EQ(commit(*sink, adopting).kind, Kind::kCommitted);
  EXPECT_EQ(query("SELECT next_offset, topic_id FROM onceflow_positions"),
            "17|AQIDBAUGBwgJCgsMDQ4PEA");
  EXPECT_EQ(query("SELECT count(*) FROM onceflow_receipts"), "0");
}

INSTANTIATE_TEST_SUITE_P(Databases, PositionsContract,
                         testing::Values(std::pair("sqlite", &make_sqlite_world),
                                         std::pair("postgres", &make_postgres_world)),
                         [](const auto& instance) { return std::string(instance.param.first); });

}  // namespace
}  // namespace onceflow::connectors
