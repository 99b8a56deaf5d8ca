// What table_past.h promises, held against every real sink: whatever becomes of the user's table
// and of ours, each record is a row once, or the claim says what to do. PostgreSQL's part runs
// where a server is given (tests/postgres/run).
#include "connectors/table_past.h"

#include <gtest/gtest.h>

#include "connectors/sink_world_testing.h"
#include "protocol/receipt.h"

namespace onceflow::connectors {
namespace {

using Kind = CommitOutcome::Kind;
using WorldMaker = std::unique_ptr<SinkWorld> (*)();

const TopicPartition kIn0{"in", PartitionIndex(0)};
const TopicPartition kIn1{"in", PartitionIndex(1)};

class TablePast : public testing::TestWithParam<std::pair<const char*, WorldMaker>> {
 protected:
  void SetUp() override {
    world_ = GetParam().second();
    if (world_ == nullptr) {
      GTEST_SKIP() << "no server; see tests/postgres/run";
    }
  }

  bool is_sqlite() const { return std::string_view(GetParam().first) == "sqlite"; }
  std::unique_ptr<Sink> make(std::string stage = "s", SinkMode mode = SinkMode::kAppend,
                             std::string pipeline = "p", std::string table = "t") {
    is_upsert_ = mode == SinkMode::kUpsert;
    return world_->make_sink(os_.environment(),
                             {std::move(pipeline),
                              std::move(stage),
                              std::move(table),
                              mode,
                              {{"id", ColumnType::kInteger, mode == SinkMode::kUpsert}}});
  }
  Result<std::vector<ClaimedPartition>> try_claim(Sink& sink,
                                                  std::vector<TopicPartition> partitions) {
    return run_to_end(os_, sink.claim(std::move(partitions)));
  }
  /// `count` rows of each partition from where it is, in one commit with its receipt.
  CommitOutcome write(Sink& sink, std::vector<TopicPartition> partitions, std::int64_t count = 3) {
    const auto claimed = try_claim(sink, std::move(partitions));
    EXPECT_TRUE(claimed.has_value()) << claimed.error().text;
    return claimed ? write_to(sink, *claimed, count) : CommitOutcome{};
  }
  CommitOutcome write_to(Sink& sink, const std::vector<ClaimedPartition>& claimed,
                         std::int64_t count) {
    TestCommit batch;
    protocol::Receipt receipt{.pipeline = "p", .stage = "s"};
    for (std::uint32_t index = 0; index < claimed.size(); ++index) {
      const ClaimedPartition& partition = claimed[index];
      const std::int64_t begin = std::max<std::int64_t>(partition.next_offset.value, 0);
      batch.at(partition, begin + count);
      receipt.inputs.push_back({.source = partition.source, .next_offset = Offset(begin + count)});
      for (std::int64_t offset = begin; offset < begin + count; ++offset) {
        batch.row(offset, {100 * partition.source.partition.value + offset});
        batch.commit.rows.back().source_index = index;
        receipt.rows.push_back({.input_index = index,
                                .source_offset = Offset(offset),
                                .key_hash = is_upsert_ ? static_cast<std::uint64_t>(offset) : 0});
      }
    }
    const Buffer bytes = encode_receipt(receipt);
    batch.commit.receipt = std::string(as_text(bytes));
    return run_to_end(os_, sink.commit(batch.commit));
  }
  void refuses(const Result<std::vector<ClaimedPartition>>& claimed,
               const std::vector<std::string>& words) {
    ASSERT_FALSE(claimed.has_value());
    EXPECT_EQ(claimed.error().code, ErrorCode::kRefused) << claimed.error().text;
    for (const std::string& word : words) {
      EXPECT_TRUE(claimed.error().text.contains(word)) << word << ": " << claimed.error().text;
    }
  }
  std::string query(const std::string& sql) { return world_->query(sql); }
  std::string row_count() { return query("SELECT count(*) FROM t"); }

  io::OsEnvironment os_;
  std::unique_ptr<SinkWorld> world_;
  bool is_upsert_ = false;  ///< what was made last
};

// -------------------------------------------------------------------------------------------
// our tables go back, the rows do not

TEST_P(TablePast, rows_past_a_position_that_went_back_are_refused_with_a_deletion_of_them_alone) {
  ASSERT_EQ(write(*make(), {kIn0, kIn1}, 12).kind, Kind::kCommitted);
  query("INSERT INTO t VALUES (7, 'in/00/11'), (8, 'in/0/x'), (9, '')");
  const auto check = [&](Offset offset) {
    const auto sink = make();
    EXPECT_TRUE(try_claim(*sink, {kIn0, kIn1}).has_value());
    return run_to_end(os_, sink->check_rows_past({{.source = kIn0, .next_offset = offset}}));
  };
  EXPECT_EQ(check(Offset(12)).value(), "");
  const auto refused = check(Offset(9));
  ASSERT_FALSE(refused.has_value());
  const std::string& text = refused.error().text;
  EXPECT_EQ(refused.error().code, ErrorCode::kRefused) << text;
  EXPECT_TRUE(text.contains("though the position of in/0 is 9")) << text;
  const std::size_t from = text.find("DELETE FROM");
  ASSERT_NE(from, std::string::npos) << text;
  query(text.substr(from, text.find(';', from) - from));
  EXPECT_EQ(row_count(), "24");  // of 27 rows
  EXPECT_EQ(query("SELECT count(*) FROM t WHERE onceflow_source IN ('in/0/9', 'in/0/10')"), "0");
  EXPECT_EQ(check(Offset(9)).value(), "");
  // Before a claim, as plan asks.
  const auto sink = make();
  ASSERT_TRUE(run_to_end(os_, sink->look({kIn1})).has_value());
  EXPECT_FALSE(
      run_to_end(os_, sink->check_rows_past({{.source = kIn1, .next_offset = Offset(3)}})));
}

// -------------------------------------------------------------------------------------------
// our tables are lost, the rows are not

TEST_P(TablePast, rows_that_no_position_and_no_receipt_knows_of_are_refused_with_fixes_that_help) {
  for (const SinkMode mode : {SinkMode::kAppend, SinkMode::kUpsert}) {
    query("DROP TABLE IF EXISTS t");
    ASSERT_EQ(write(*make("s", mode), {kIn0, kIn1}).kind, Kind::kCommitted);
    query("DELETE FROM onceflow_positions");
    query("DELETE FROM onceflow_receipts");
    const auto sink = make("s", mode);
    for (const auto& partitions : {std::vector{kIn0, kIn1}, std::vector{kIn1}}) {
      refuses(try_claim(*sink, partitions),
              {"table t has rows of topic in",
               "DELETE FROM \"t\" WHERE substr(onceflow_source, 1, 3) = 'in/'; or"});
    }
    EXPECT_EQ(query("SELECT count(*) FROM onceflow_positions"), "0");        // nothing was begun
    query("DELETE FROM \"t\" WHERE substr(onceflow_source, 1, 3) = 'in/'");  // as it says
    ASSERT_EQ(write(*sink, {kIn0, kIn1}).kind, Kind::kCommitted);
    EXPECT_EQ(row_count(), "6");
    query("DELETE FROM onceflow_positions");
    query("DELETE FROM onceflow_receipts");
  }
}

TEST_P(TablePast, our_tables_that_were_dropped_are_not_begun_anew_over_rows) {
  ASSERT_EQ(write(*make(), {kIn0}).kind, Kind::kCommitted);
  query("DROP TABLE onceflow_positions");
  query("DROP TABLE onceflow_receipts");
  refuses(try_claim(*make(), {kIn0}), {"table t has rows of topic in", "in/0/0"});
}

TEST_P(TablePast, one_partition_whose_position_and_receipts_are_gone_is_refused) {
  ASSERT_EQ(write(*make(), {kIn0}).kind, Kind::kCommitted);
  ASSERT_EQ(write(*make(), {kIn1}).kind, Kind::kCommitted);
  query("DELETE FROM onceflow_positions WHERE partition = 1");
  query("DELETE FROM onceflow_receipts");
  EXPECT_TRUE(try_claim(*make(), {kIn0}).has_value());
  refuses(try_claim(*make(), {kIn0, kIn1}), {"in/1/"});
  // A worker that begins gives the others' partitions their positions.
  const auto sink = make();
  const auto claimed = try_claim(*sink, {kIn0});
  ASSERT_TRUE(claimed.has_value());
  TestCommit begin;
  begin.from(ClaimedPartition{.source = kIn1}, -1, 0);
  const CommitOutcome outcome = run_to_end(os_, sink->commit(begin.commit));
  EXPECT_EQ(outcome.kind, Kind::kRefused) << outcome.text;
  EXPECT_TRUE(outcome.text.contains("in/1/")) << outcome.text;
  EXPECT_EQ(query("SELECT count(*) FROM onceflow_positions"), "1");
}

TEST_P(TablePast, positions_lost_alone_are_left_to_the_receipts_and_still_refused_without_them) {
  ASSERT_EQ(write(*make(), {kIn0}).kind, Kind::kCommitted);
  query("DELETE FROM onceflow_positions");
  const auto claimed = try_claim(*make(), {kIn0});  // the stage compares, and stops
  ASSERT_TRUE(claimed.has_value()) << claimed.error().text;
  EXPECT_EQ(claimed->front().next_offset, kNoOffset);
  EXPECT_EQ(claimed->front().receipt_offset, Offset(3));
  query("DELETE FROM onceflow_receipts");
  refuses(try_claim(*make(), {kIn0}), {"table t has rows of topic in"});
}

TEST_P(TablePast, receipts_lost_alone_change_nothing) {
  ASSERT_EQ(write(*make(), {kIn0}).kind, Kind::kCommitted);
  query("DELETE FROM onceflow_receipts");
  ASSERT_EQ(write(*make(), {kIn0}).kind, Kind::kCommitted);
  EXPECT_EQ(row_count(), "6");
}

TEST_P(TablePast, a_position_that_was_set_back_without_its_receipts_is_refused) {
  for (const SinkMode mode : {SinkMode::kAppend, SinkMode::kUpsert}) {
    query("DROP TABLE IF EXISTS t");
    query("DROP TABLE IF EXISTS onceflow_positions");
    ASSERT_EQ(write(*make("s", mode), {kIn0}, 12).kind, Kind::kCommitted);
    query("DELETE FROM onceflow_receipts");
    for (const char* moved : {"0", "2", "9", "11"}) {
      query(std::string("UPDATE onceflow_positions SET next_offset = ") + moved);
      refuses(try_claim(*make("s", mode), {kIn0}),
              {"table t has a row of in/0/", std::string("in onceflow_positions is ") + moved,
               "UPDATE onceflow_positions SET table_id = 'any'"});
    }
    query("UPDATE onceflow_positions SET next_offset = -1");
    refuses(try_claim(*make("s", mode), {kIn0}), {"table t has a row of in/0/"});
    query("UPDATE onceflow_positions SET topic_id = 'AAAAAAAAAAAAAAAAAAAAAQ'");
    refuses(try_claim(*make("s", mode), {kIn0}),
            {"the row of in-0 in onceflow_positions has the next_offset -1 beside topic_id "
             "'AAAAAAAAAAAAAAAAAAAAAQ'"});
    query("UPDATE onceflow_positions SET next_offset = 12");
    EXPECT_TRUE(try_claim(*make("s", mode), {kIn0}).has_value());
  }
}

TEST_P(TablePast, rows_whose_place_is_no_number_stop_no_claim) {
  ASSERT_EQ(write(*make(), {kIn0}).kind, Kind::kCommitted);
  query("DELETE FROM onceflow_receipts");
  query("UPDATE t SET onceflow_source = 'in/0/' WHERE id = 0");
  query("UPDATE t SET onceflow_source = 'mine' WHERE id = 1");
  EXPECT_TRUE(try_claim(*make(), {kIn0}).has_value());
}

TEST_P(TablePast, rows_that_an_operator_has_decided_to_keep_are_accepted) {
  ASSERT_EQ(write(*make(), {kIn0}).kind, Kind::kCommitted);
  query("DELETE FROM onceflow_receipts");
  query("UPDATE onceflow_positions SET next_offset = -1, table_id = 'any'");  // as a reset does
  ASSERT_EQ(write(*make(), {kIn0}).kind, Kind::kCommitted);
  EXPECT_EQ(row_count(), "6");
}

TEST_P(TablePast, positions_that_no_version_has_written_are_refused_with_fixes_that_help) {
  struct Odd {
    std::string column;
    std::string value;
    std::string says;
    bool only_sqlite = false;
  };
  const std::vector<Odd> odd = {
      {"topic_id", "'zz'", "has the topic_id 'zz'; the rule: it is 22 characters"},
      {"topic_id", "'AAAAAAAAAAAAAAAAAAAAAA=='", "has the topic_id 'AAAAAAAAAAAAAAAAAAAAAA=='"},
      {"next_offset", "-5", "has the next_offset -5"},
      {"next_offset", "'three'", "has the next_offset 'three'", true},
      {"next_offset", "2.5", "has the next_offset 2.5", true},
      {"epoch", "9223372036854775808", "has the epoch 9.2233720368547", true},
      {"epoch", "9223372036854775807", "has the epoch 9223372036854775807", true},
      {"epoch", "'x'", "has the epoch 'x'", true}};
  ASSERT_EQ(write(*make(), {kIn0}).kind, Kind::kCommitted);
  for (const Odd& each : odd) {
    if (each.only_sqlite && !is_sqlite()) {
      continue;
    }
    query("UPDATE onceflow_positions SET " + each.column + " = " + each.value);
    const auto claimed = try_claim(*make(), {kIn0});
    refuses(claimed, {"the row of in-0 in onceflow_positions", each.says});
    const std::string& text = claimed.error().text;
    const std::size_t update = text.find("UPDATE onceflow_positions");
    if (update == std::string::npos) {
      EXPECT_TRUE(text.contains("onceflow reset FILE --to-earliest --execute")) << text;
      query("UPDATE onceflow_positions SET next_offset = 3");  // restored
    } else {
      query(text.substr(update));  // as it says
    }
    const auto again = try_claim(*make(), {kIn0});
    EXPECT_TRUE(again.has_value()) << each.value << ": " << again.error().text;
    EXPECT_TRUE(!again || again->front().next_offset == Offset(3)) << each.value;
  }
}

TEST_P(TablePast, rows_of_another_topic_or_partition_are_nobodys_concern) {
  ASSERT_EQ(write(*make(), {kIn0}).kind, Kind::kCommitted);
  query("INSERT INTO t VALUES (7, 'in2/0/1'), (8, 'in/11/1'), (9, 'by hand')");
  ASSERT_EQ(write(*make(), {kIn1}).kind, Kind::kCommitted);
}

TEST_P(TablePast, the_records_of_another_pipelines_rows_are_refused_until_its_positions_are_gone) {
  ASSERT_EQ(write(*make(), {kIn0, kIn1}).kind, Kind::kCommitted);
  const auto renamed = make("s", SinkMode::kAppend, "other");
  const std::vector<std::string> words = {
      "table t: pipeline 'p', sink s, writes the records of "
      "topic in to it, too",
      "a table of its own"};
  refuses(try_claim(*renamed, {kIn0, kIn1}), words);
  refuses(run_to_end(os_, renamed->look({kIn0})), words);
  // A partition that the other one has not claimed, and a table that was emptied.
  refuses(try_claim(*renamed, {{"in", PartitionIndex(7)}}), words);
  query("DELETE FROM t");
  const auto claimed = try_claim(*renamed, {kIn0});
  refuses(claimed, words);
  EXPECT_EQ(query("SELECT count(*) FROM onceflow_positions WHERE pipeline = 'other'"), "0");
  const std::string& text = claimed.error().text;
  query(text.substr(text.find("DELETE FROM onceflow_positions")));  // as it says
  const auto again = try_claim(*renamed, {kIn0});
  EXPECT_TRUE(again) << again.error().text;
}

TEST_P(TablePast, of_two_pipelines_that_begin_at_once_the_later_one_is_refused) {
  ASSERT_TRUE(try_claim(*make(), {kIn0}));  // has no position yet
  refuses(try_claim(*make("s", SinkMode::kAppend, "other"), {kIn0}), {"pipeline 'p', sink s"});
  EXPECT_TRUE(try_claim(*make(), {kIn0}));
}

TEST_P(TablePast, a_row_of_the_same_key_is_written_over_whoever_wrote_it_and_is_told_once) {
  ASSERT_EQ(write(*make("s", SinkMode::kUpsert), {kIn0}).kind, Kind::kCommitted);
  const auto other = make("s", SinkMode::kUpsert, "other");
  EXPECT_EQ(try_claim(*other, {kIn0})->front().remark,
            "table t is written by pipeline 'p', too: the row of a key that both write is the one "
            "that was written last, and the audit of the other pipeline says that its row is "
            "missing");
  EXPECT_EQ(try_claim(*other, {kIn0})->front().remark, "");
}

TEST_P(TablePast, two_pipelines_may_write_other_topics_to_one_table_and_two_sinks_of_one_may_not) {
  ASSERT_EQ(write(*make(), {kIn0}).kind, Kind::kCommitted);
  ASSERT_EQ(write(*make("s", SinkMode::kAppend, "other"), {{"in2", PartitionIndex(0)}}).kind,
            Kind::kCommitted);
  EXPECT_EQ(row_count(), "6");
  refuses(try_claim(*make("s-2"), {kIn0}),
          {"sink s of this pipeline writes the records of in to it, too", "--delete-rows"});
}

// -------------------------------------------------------------------------------------------
// the user's table is another one

TEST_P(TablePast, a_table_that_another_one_has_replaced_is_refused_stopped_or_running) {
  const std::vector<std::vector<std::string>> ways = {
      {"ALTER TABLE t RENAME TO old", "CREATE TABLE t (id bigint, onceflow_source text)"},
      {"DROP TABLE t", "CREATE TABLE t (id bigint, onceflow_source text)"}};
  for (const auto& way : ways) {
    for (const bool is_running : {false, true}) {
      query("DROP TABLE IF EXISTS old");
      query("DROP TABLE IF EXISTS t");
      query("DROP TABLE IF EXISTS onceflow_positions");
      query("DROP TABLE IF EXISTS onceflow_receipts");
      query("CREATE TABLE t (id bigint, onceflow_source text)");
      auto sink = make();
      ASSERT_EQ(write(*sink, {kIn0}).kind, Kind::kCommitted);
      auto claimed = try_claim(*sink, {kIn0});
      ASSERT_TRUE(claimed.has_value()) << claimed.error().text;
      for (const std::string& sql : way) {
        query(sql);
      }
      if (is_running) {
        EXPECT_EQ(write_to(*sink, *claimed, 2).kind, Kind::kNotNow);
      } else {
        sink = make();
      }
      refuses(try_claim(*sink, {kIn0}), {"another one than rows were written to up to in/0@3",
                                         "of in/0/2, is not in it", "put the table back"});
      EXPECT_EQ(row_count(), "0");
    }
  }
  // The fixes: the table is put back; or it goes on without them, as it says.
  query("UPDATE onceflow_positions SET table_id = 'any' WHERE pipeline = 'p' AND stage = 's'");
  ASSERT_EQ(write(*make(), {kIn0}).kind, Kind::kCommitted);
  EXPECT_EQ(row_count(), "3");
}

TEST_P(TablePast, a_table_that_is_put_back_goes_on) {
  ASSERT_EQ(write(*make(), {kIn0}).kind, Kind::kCommitted);
  query("ALTER TABLE t RENAME TO old");
  query("CREATE TABLE t (id bigint, onceflow_source text)");
  refuses(try_claim(*make(), {kIn0}), {"another one"});
  query("DROP TABLE t");
  query("ALTER TABLE old RENAME TO t");
  ASSERT_EQ(write(*make(), {kIn0}).kind, Kind::kCommitted);
  EXPECT_EQ(row_count(), "6");
}

TEST_P(TablePast, a_table_that_was_restored_or_copied_goes_on_if_it_has_the_newest_row) {
  ASSERT_EQ(write(*make(), {kIn0}).kind, Kind::kCommitted);
  query("CREATE TABLE copy AS SELECT * FROM t");
  ASSERT_EQ(write(*make(), {kIn0}).kind, Kind::kCommitted);
  query("CREATE TABLE newer AS SELECT * FROM t");
  query("DROP TABLE t");
  query("ALTER TABLE copy RENAME TO t");
  refuses(try_claim(*make(), {kIn0}), {"of in/0/5, is not in it"});  // rows 3 to 5 would be lost
  query("DROP TABLE t");
  query("ALTER TABLE newer RENAME TO t");
  ASSERT_EQ(write(*make(), {kIn0}).kind, Kind::kCommitted);
  EXPECT_EQ(row_count(), "9");
}

TEST_P(TablePast, a_table_that_a_database_restored_as_a_whole_has_goes_on) {
  ASSERT_EQ(write(*make(), {kIn0}).kind, Kind::kCommitted);
  // As a dump that is read into another database: same rows, other ids.
  query(is_sqlite() ? "UPDATE onceflow_positions SET table_id = '1:2:t'"
                    : "UPDATE onceflow_positions SET table_id = '99999'");
  const auto sink = make();
  const auto claimed = try_claim(*sink, {kIn0});
  ASSERT_TRUE(claimed.has_value()) << claimed.error().text;
  EXPECT_TRUE(claimed->front().remark.contains("it was restored or copied"))
      << claimed->front().remark;
  EXPECT_EQ(claimed->front().next_offset, Offset(3));
  EXPECT_TRUE(try_claim(*sink, {kIn0})->front().remark.empty());
}

TEST_P(TablePast, a_change_of_a_table_keeps_it) {
  ASSERT_EQ(write(*make(), {kIn0}).kind, Kind::kCommitted);
  query("ALTER TABLE t ADD note text");
  query("CREATE INDEX by_id ON t (id)");
  query("CREATE TABLE beside (id bigint)");
  const auto sink = make();
  ASSERT_EQ(write(*sink, {kIn0}).kind, Kind::kCommitted);
  auto claimed = try_claim(*sink, {kIn0});
  query("CREATE TABLE beside_it_too (id bigint)");
  EXPECT_EQ(write_to(*sink, *claimed, 1).kind, Kind::kCommitted);
  EXPECT_EQ(row_count(), "7");
}

TEST_P(TablePast, rows_deleted_and_the_file_compacted_or_changed_once_are_no_other_table) {
  if (!is_sqlite()) {
    GTEST_SKIP() << "an oid is one table's for good";
  }
  for (const char* change : {"VACUUM", "CREATE INDEX i ON t (id)", "ALTER TABLE t ADD note text",
                             "CREATE TABLE beside (id bigint)"}) {
    for (const bool is_running : {false, true}) {
      for (const char* table : {"t", "beside", "onceflow_positions", "onceflow_receipts"}) {
        query(std::string("DROP TABLE IF EXISTS ") + table);
      }
      query("CREATE TABLE t (id bigint, onceflow_source text)");
      auto sink = make();
      ASSERT_EQ(write(*sink, {kIn0}).kind, Kind::kCommitted);
      auto claimed = try_claim(*sink, {kIn0});
      ASSERT_TRUE(claimed.has_value()) << claimed.error().text;
      query("DELETE FROM t");
      query(change);
      if (is_running) {
        EXPECT_EQ(write_to(*sink, *claimed, 1).kind, Kind::kNotNow);
      } else {
        sink = make();
      }
      claimed = try_claim(*sink, {kIn0});
      ASSERT_TRUE(claimed.has_value()) << change << ": " << claimed.error().text;
      EXPECT_TRUE(claimed->front().remark.contains("of in/0/2, is not in it any more"))
          << claimed->front().remark;
      EXPECT_EQ(claimed->front().next_offset, Offset(3));
      EXPECT_EQ(write_to(*sink, *claimed, 1).kind, Kind::kCommitted);
      EXPECT_EQ(row_count(), "1");
    }
  }
}

TEST_P(TablePast, a_running_stage_follows_each_change_so_that_the_next_one_is_the_first) {
  if (!is_sqlite()) {
    GTEST_SKIP() << "an oid is one table's for good";
  }
  const auto sink = make();
  ASSERT_EQ(write(*sink, {kIn0}).kind, Kind::kCommitted);
  auto claimed = try_claim(*sink, {kIn0});
  ASSERT_TRUE(claimed.has_value()) << claimed.error().text;
  query("VACUUM");
  query("VACUUM");
  ASSERT_EQ(write_to(*sink, *claimed, 1).kind, Kind::kCommitted);  // its newest row is there
  query("DELETE FROM t");
  query("VACUUM");
  ASSERT_EQ(write(*make(), {kIn0}).kind, Kind::kCommitted);
  EXPECT_EQ(row_count(), "3");
  // Two changes, and no row that tells: it may be another table, and the first fix helps.
  query("DELETE FROM t");
  query("VACUUM");
  query("VACUUM");
  refuses(try_claim(*make(), {kIn0}),
          {"may be another one", "VACUUM and changes of the file's tables give it others, too",
           "the fix: if it is the table of before, or to go on without its rows: UPDATE "
           "onceflow_positions SET table_id = 'any' WHERE pipeline = 'p' AND stage = 's'"});
  query("UPDATE onceflow_positions SET table_id = 'any' WHERE pipeline = 'p' AND stage = 's'");
  ASSERT_EQ(write(*make(), {kIn0}).kind, Kind::kCommitted);
  EXPECT_EQ(row_count(), "3");
}

TEST_P(TablePast, an_upsert_whose_newest_row_was_deleted_again_goes_on) {
  const auto sink = make("s", SinkMode::kUpsert);
  ASSERT_EQ(write(*sink, {kIn0}).kind, Kind::kCommitted);
  const auto claimed = try_claim(*sink, {kIn0});
  ASSERT_TRUE(claimed.has_value());
  TestCommit batch;
  batch.at(claimed->front(), 5).remove(4, {std::int64_t{2}});
  protocol::Receipt receipt{.pipeline = "p", .stage = "s"};
  receipt.inputs.push_back({.source = kIn0, .next_offset = Offset(5)});
  receipt.rows.push_back({.source_offset = Offset(4), .key_hash = 2, .is_delete = true});
  const Buffer bytes = encode_receipt(receipt);
  batch.commit.receipt = std::string(as_text(bytes));
  ASSERT_EQ(run_to_end(os_, sink->commit(batch.commit)).kind, Kind::kCommitted);
  query(is_sqlite() ? "UPDATE onceflow_positions SET table_id = '1:2:t'"
                    : "UPDATE onceflow_positions SET table_id = '99999'");
  EXPECT_TRUE(try_claim(*make("s", SinkMode::kUpsert), {kIn0}).has_value());
}

TEST_P(TablePast, positions_of_versions_that_did_not_know_tables_take_the_one_that_is_there) {
  query(
      "CREATE TABLE onceflow_positions (pipeline text NOT NULL, stage text NOT NULL,"
      " topic text NOT NULL, partition integer NOT NULL, next_offset bigint NOT NULL,"
      " epoch bigint NOT NULL, topic_id text NOT NULL DEFAULT '',"
      " PRIMARY KEY (pipeline, stage, topic, partition))");
  query(
      "INSERT INTO onceflow_positions VALUES ('p', 's', 'in', 0, 3, 1, 'AQIDBAUGBwgJCgsMDQ4PEA')");
  query("CREATE TABLE t (id bigint, onceflow_source text)");
  query("INSERT INTO t VALUES (0, 'in/0/0')");
  ASSERT_EQ(write(*make(), {kIn0}).kind, Kind::kCommitted);
  EXPECT_EQ(query("SELECT count(*) FROM onceflow_positions WHERE table_id <> ''"), "1");
}

INSTANTIATE_TEST_SUITE_P(Databases, TablePast,
                         testing::Values(std::pair("sqlite", &make_sqlite_world),
                                         std::pair("postgres", &make_postgres_world)),
                         [](const auto& instance) { return std::string(instance.param.first); });

}  // namespace
}  // namespace onceflow::connectors
