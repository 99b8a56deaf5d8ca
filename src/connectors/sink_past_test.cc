#include "connectors/sink_past.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "connectors/sqlite_connection.h"
#include "connectors/sqlite_positions.h"
#include "protocol/receipt.h"

namespace onceflow::connectors {
namespace {

/// One database in which pipelines p and q write the table t.
class SharedTable : public ::testing::Test {
 public:
  ~SharedTable() override {
    connection_.reset();
    std::filesystem::remove_all(directory_);
  }

 protected:
  SharedTable() {
    std::string name = std::filesystem::temp_directory_path() / "onceflow-past.XXXXXX";
    directory_ = ::mkdtemp(name.data());
    connection_ = *SqliteConnection::open(options().file, seconds(10));
    EXPECT_TRUE(ensure_sqlite_positions(*connection_));
    EXPECT_TRUE(connection_->execute("CREATE TABLE t (x INTEGER, onceflow_source TEXT)"));
  }

  SqliteSinkOptions options() const { return {.file = directory_ + "/sink.db"}; }
  static SinkTable table_of(const std::string& pipeline) {
    return {pipeline, "sqlite", "t", {}, {}};
  }

  /// As a sink does it: its position, its receipt, and the rows of these offsets of topic `in`.
  void write(const std::string& pipeline, const std::string& table, const std::string& table_id,
             const std::vector<std::int64_t>& offsets) {
    protocol::Receipt receipt{.pipeline = pipeline, .stage = "sqlite", .worker = "w"};
    receipt.inputs.push_back(
        {.source = {"in", PartitionIndex(0)}, .from_offset = Offset(0), .next_offset = Offset(10)});
    receipt.outputs.push_back({.name = table});
    receipt.definition = definition_;
    for (const std::int64_t offset : offsets) {
      receipt.rows.push_back({.source_offset = Offset(offset),
                              .row_hash = hash_of(offset),
                              .key_hash = hash_of(offset) + 1});
      if (table == "t") {
        EXPECT_TRUE(
            connection_->execute(fmt::format("INSERT INTO t VALUES ({0}, 'in/0/{0}')", offset)));
      }
    }
    EXPECT_TRUE(connection_->execute(
        fmt::format("INSERT INTO onceflow_positions (pipeline, stage, topic, partition, "
                    "next_offset, epoch, table_id) VALUES ('{}', 'sqlite', 'in', 0, 10, 1, '{}')",
                    pipeline, table_id)));
    auto insert = connection_->prepare(
        "INSERT INTO onceflow_receipts (pipeline, stage, receipt) VALUES (?1, 'sqlite', ?2)");
    ASSERT_TRUE(insert.has_value());
    const Buffer bytes = encode_receipt(receipt);
    insert->bind(1, std::string_view(pipeline));
    insert->bind_blob(2, bytes);
    EXPECT_TRUE(insert->run());
  }

  std::uint64_t hash_of(std::int64_t offset) const {
    return definition_ * 1000 + 100 + static_cast<std::uint64_t>(offset);
  }

  /// What the lists say: definition, source, the hashes.
  std::vector<std::string> listed() {
    std::vector<std::string> found;
    auto read = connection_->prepare(
        "SELECT receipt FROM onceflow_receipts WHERE pipeline = 'p' AND stage = 'sqlite (kept)' "
        "ORDER BY receipt_id");
    EXPECT_TRUE(read.has_value());
    while (*read->step() == SqliteStatement::Step::kRow) {
      const auto list = protocol::decode_receipt(as_bytes(read->text(0)));
      EXPECT_TRUE(list.has_value());
      for (const protocol::Receipt::Row& row : list->rows) {
        found.push_back(fmt::format("{}: {}/{} {} {}", list->definition,
                                    list->inputs[row.input_index].source.topic,
                                    row.source_offset.value, row.row_hash, row.key_hash));
      }
    }
    return found;
  }

  std::string rows() {
    auto read =
        connection_->prepare("SELECT group_concat(x, ' ') FROM (SELECT x FROM t ORDER BY x)");
    EXPECT_TRUE(read.has_value());
    EXPECT_TRUE(read->step().has_value());
    return std::string(read->text(0));
  }
  std::string table_id() { return *read_sqlite_table_id(*connection_, table_of("p")); }

  std::string directory_;
  std::unique_ptr<SqliteConnection> connection_;
  std::uint64_t definition_ = 0;  ///< of receipts from now on
};

TEST_F(SharedTable, rows_that_no_pipeline_has_written_stay) {
  write("p", "t", table_id(), {0, 2});
  EXPECT_TRUE(connection_->execute("INSERT INTO t VALUES (7, NULL)"));
  const auto past = read_sqlite_past(options(), table_of("p"));
  ASSERT_TRUE(past.has_value()) << past.error().text;
  EXPECT_EQ(past->row_count, 3);
  EXPECT_EQ(past->own_row_count, 2);
  const Status reset = reset_sqlite_sink(options(), table_of("p"), {.deletes_rows = true});
  ASSERT_TRUE(reset.has_value()) << reset.error().text;
  EXPECT_EQ(rows(), "7");
}

TEST_F(SharedTable, rows_of_another_pipeline_stay) {
  write("p", "t", table_id(), {0, 2, 4});
  write("q", "t", table_id(), {1, 3});
  const auto past = read_sqlite_past(options(), table_of("p"));
  ASSERT_TRUE(past.has_value()) << past.error().text;
  EXPECT_EQ(past->other_writers, std::vector<std::string>{"pipeline 'q', sink sqlite"});
  EXPECT_EQ(past->row_count, 5);
  EXPECT_EQ(past->own_row_count, 3);
  const Status reset = reset_sqlite_sink(options(), table_of("p"), {.deletes_rows = true});
  ASSERT_TRUE(reset.has_value()) << reset.error().text;
  EXPECT_EQ(rows(), "1 3");
}

TEST_F(SharedTable, rows_stay_of_a_pipeline_whose_position_names_no_table) {
  write("p", "t", table_id(), {0});
  write("q", "t", std::string(kAnyTable), {1});
  ASSERT_TRUE(reset_sqlite_sink(options(), table_of("p"), {.deletes_rows = true}).has_value());
  EXPECT_EQ(rows(), "1");
}

TEST_F(SharedTable, rows_of_a_record_that_both_have_written_are_refused) {
  write("p", "t", table_id(), {0, 1});
  write("q", "t", table_id(), {1});
  const auto past = read_sqlite_past(options(), table_of("p"));
  ASSERT_TRUE(past.has_value()) << past.error().text;
  EXPECT_NE(past->contested.find("2 of its rows"), std::string::npos) << past->contested;
  const Status reset = reset_sqlite_sink(options(), table_of("p"), {.deletes_rows = true});
  ASSERT_FALSE(reset.has_value());
  EXPECT_EQ(reset.error().code, ErrorCode::kRefused);
  EXPECT_EQ(rows(), "0 1 1");
}

TEST_F(SharedTable, a_trial_is_refused_as_the_reset_would_be_and_changes_nothing) {
  write("p", "t", table_id(), {0, 1});
  const SinkReset reset{.deletes_rows = true};
  ASSERT_TRUE(reset_sqlite_sink(options(), table_of("p"), reset, ResetRun::kTrial).has_value());
  EXPECT_EQ(rows(), "0 1");
  EXPECT_EQ(read_sqlite_past(options(), table_of("p"))->receipt_count, 1);
  EXPECT_TRUE(connection_->execute(
      "CREATE TRIGGER stays BEFORE DELETE ON t BEGIN SELECT RAISE(ABORT, 'it stays'); END"));
  const Status tried = reset_sqlite_sink(options(), table_of("p"), reset, ResetRun::kTrial);
  ASSERT_FALSE(tried.has_value());
  EXPECT_NE(tried.error().text.find("it stays"), std::string::npos) << tried.error().text;
}

TEST_F(SharedTable, a_trial_makes_no_file_and_finds_that_there_is_no_folder) {
  const SqliteSinkOptions missing{.file = directory_ + "/other.db"};
  EXPECT_TRUE(reset_sqlite_sink(missing, table_of("p"), {}, ResetRun::kTrial).has_value());
  EXPECT_FALSE(std::filesystem::exists(missing.file));
  EXPECT_FALSE(
      reset_sqlite_sink({.file = directory_ + "/no/other.db"}, table_of("p"), {}, ResetRun::kTrial)
          .has_value());
}

// A column of SQLite's takes values of any type; `onceflow reset` is what people run then.
TEST_F(SharedTable, a_position_that_is_no_integer_is_refused_by_name) {
  write("p", "t", table_id(), {0});
  for (const char* const wrong : {"'many'", "9.5", "1e30", "'7x'"}) {
    EXPECT_TRUE(
        connection_->execute(fmt::format("UPDATE onceflow_positions SET next_offset = {}", wrong)));
    const auto past = read_sqlite_past(options(), table_of("p"));
    ASSERT_FALSE(past.has_value()) << wrong;
    EXPECT_EQ(past.error().code, ErrorCode::kRefused) << past.error().text;
    EXPECT_NE(past.error().text.find("where this program writes an integer"), std::string::npos)
        << past.error().text;
  }
}

TEST_F(SharedTable, a_table_of_ones_own_is_emptied) {
  write("p", "t", table_id(), {0, 1});
  write("q", "another", "", {1});
  EXPECT_TRUE(connection_->execute("INSERT INTO t VALUES (9, 'by hand')"));
  ASSERT_TRUE(reset_sqlite_sink(options(), table_of("p"), {.deletes_rows = true}).has_value());
  EXPECT_EQ(rows(), "");
}

// What a reset listed as kept is not known to be its own.
TEST_F(SharedTable, rows_without_receipts_that_a_reset_has_listed_stay_beside_another_pipeline) {
  write("p", "t", table_id(), {0, 1});
  write("q", "t", table_id(), {5});
  EXPECT_TRUE(connection_->execute("INSERT INTO t VALUES (3, 'in/0/3')"));  // of q, cleaned
  const SinkReset keeps{.forgets_receipts = true, .lists_rows = true, .positions = {}, .now_ms = 5};
  ASSERT_TRUE(reset_sqlite_sink(options(), table_of("p"), keeps));
  ASSERT_TRUE(reset_sqlite_sink(options(), table_of("p"), {.deletes_rows = true}));
  EXPECT_EQ(rows(), "0 1 3 5");
}

TEST_F(SharedTable, rows_stay_of_a_pipeline_whose_position_is_of_the_table_before) {
  write("p", "t", table_id(), {0});
  write("q", "t", "4:7:t", {1});
  ASSERT_TRUE(reset_sqlite_sink(options(), table_of("p"), {.deletes_rows = true}));
  EXPECT_EQ(rows(), "1");
}

TEST_F(SharedTable, what_a_former_id_of_the_sink_says_of_the_table_goes_with_a_start_over) {
  write("p", "t", table_id(), {0});
  EXPECT_TRUE(connection_->execute("UPDATE onceflow_receipts SET stage = 'before'"));
  EXPECT_TRUE(connection_->execute("DELETE FROM onceflow_positions"));
  write("p", "another", table_id(), {1});
  EXPECT_TRUE(
      connection_->execute("UPDATE onceflow_receipts SET stage = 'beside' WHERE stage = 'sqlite'"));
  ASSERT_TRUE(reset_sqlite_sink(options(), table_of("p"),
                                {.forgets_receipts = true, .deletes_rows = true}));
  auto left = connection_->prepare("SELECT group_concat(stage) FROM onceflow_receipts");
  ASSERT_TRUE(left && left->step());
  EXPECT_EQ(left->text(0), "beside");
}

TEST_F(SharedTable, rows_that_a_reset_keeps_are_listed_as_they_are_and_anew_each_time) {
  write("p", "t", table_id(), {1, 2});
  write("q", "t", table_id(), {4});
  EXPECT_TRUE(connection_->execute(
      "INSERT INTO t VALUES (7, NULL), (8, 'in/0/08'), (9, 'by hand'), (3, 'in2/1/3')"));
  const SinkReset reset{.lists_rows = true, .positions = {}, .now_ms = 5};
  for (int time = 0; time < 2; ++time) {
    ASSERT_TRUE(reset_sqlite_sink(options(), table_of("p"), reset));
    auto read = connection_->prepare(
        "SELECT stage, receipt, count(*) FROM onceflow_receipts WHERE pipeline = 'p'");
    ASSERT_TRUE(read && read->step());
    EXPECT_EQ(read->integer(2), 1);
    EXPECT_EQ(read->text(0), "sqlite (kept)");
    const auto list = protocol::decode_receipt(as_bytes(read->text(1)));
    ASSERT_TRUE(list) << list.error().text;
    EXPECT_EQ(list->committed_at_ms, 5);
    ASSERT_EQ(list->outputs.size(), 1U);
    EXPECT_EQ(list->outputs.front().record_count, 6);  // all but the row of q
    std::vector<std::string> sources;
    for (const protocol::Receipt::Row& row : list->rows) {
      const TopicPartition& source = list->inputs[row.input_index].source;
      sources.push_back(
          fmt::format("{}/{}/{}", source.topic, source.partition.value, row.source_offset.value));
    }
    EXPECT_EQ(sources, (std::vector<std::string>{"in/0/1", "in/0/2", "in2/1/3"}));
  }
}

TEST_F(SharedTable, the_list_has_the_hashes_of_the_receipts_that_go) {
  const SinkReset keeps{.forgets_receipts = true, .lists_rows = true, .positions = {}, .now_ms = 5};
  definition_ = 7;
  write("p", "t", table_id(), {1, 2});
  EXPECT_TRUE(connection_->execute("DELETE FROM onceflow_positions"));
  definition_ = 8;
  write("p", "t", table_id(), {3});
  EXPECT_TRUE(connection_->execute("INSERT INTO t VALUES (9, 'in/0/9'), (9, 'by hand')"));
  ASSERT_TRUE(reset_sqlite_sink(options(), table_of("p"), keeps));
  const std::vector<std::string> first = {"0: in/9 0 0", "7: in/1 7101 7102", "7: in/2 7102 7103",
                                          "8: in/3 8103 8104"};
  EXPECT_EQ(listed(), first);
  // The next reset hands them on.
  ASSERT_TRUE(reset_sqlite_sink(options(), table_of("p"), keeps));
  EXPECT_EQ(listed(), first);
}

TEST_F(SharedTable, of_two_rows_of_a_record_of_which_one_is_gone_the_list_has_no_hash) {
  const SinkReset keeps{.forgets_receipts = true, .lists_rows = true, .positions = {}, .now_ms = 5};
  definition_ = 7;
  write("p", "t", table_id(), {1, 2});
  ASSERT_TRUE(reset_sqlite_sink(options(), table_of("p"), keeps));
  EXPECT_TRUE(connection_->execute("DELETE FROM onceflow_positions"));
  definition_ = 8;
  write("p", "t", table_id(), {1, 2});
  EXPECT_TRUE(
      connection_->execute("DELETE FROM t WHERE rowid = (SELECT max(rowid) FROM t WHERE x = 1)"));
  ASSERT_TRUE(reset_sqlite_sink(options(), table_of("p"), keeps));
  EXPECT_EQ(listed(),
            (std::vector<std::string>{"0: in/1 0 0", "7: in/2 7102 7103", "8: in/2 8102 8103"}));
}

}  // namespace
}  // namespace onceflow::connectors
