// STG-1 to the last row (AUD-1): a stage that writes to a real SQLite file, and what happens to
// single rows.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <filesystem>

#include "audit/auditor.h"
#include "audit/memory_log_testing.h"
#include "base/record_hash.h"
#include "base/topic_id_text.h"
#include "protocol/definition.h"

namespace onceflow::audit {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

struct TestRow {
  std::int64_t id = 0;
  double amount = 0;
  std::optional<std::string> note;
  bool is_delete = false;
};

class TableAuditTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = (std::filesystem::temp_directory_path() / "onceflow-audit-XXXXXX").string();
    ASSERT_NE(mkdtemp(folder_.data()), nullptr);
    file_ = folder_ + "/orders.db";
    sqlite3* raw = nullptr;
    ASSERT_EQ(sqlite3_open(file_.c_str(), &raw), SQLITE_OK);
    database_.reset(raw);
    execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF");
    execute(
        "CREATE TABLE onceflow_positions (pipeline TEXT, stage TEXT, topic TEXT,"
        " partition INTEGER, next_offset INTEGER, epoch INTEGER)");
    execute(
        "CREATE TABLE onceflow_receipts (receipt_id INTEGER PRIMARY KEY AUTOINCREMENT,"
        " pipeline TEXT, stage TEXT, receipt BLOB)");
    execute("CREATE TABLE orders (id INTEGER, amount REAL, note TEXT, onceflow_source TEXT)");
    log_.create("orders", 1);
    for (int index = 0; index < 9; ++index) {
      log_.append(at("orders", 0), {{"k", "v" + std::to_string(index)}});
    }
  }
  void TearDown() override {
    database_.reset();
    std::filesystem::remove_all(folder_);
  }

  void execute(const std::string& sql) {
    char* error = nullptr;
    ASSERT_EQ(sqlite3_exec(database_.get(), sql.c_str(), nullptr, nullptr, &error), SQLITE_OK)
        << sql << ": " << error;
  }

  AuditSubject subject(bool is_upsert) const {
    return {.pipeline = "p",
            .receipts_topic = "p-receipts",
            .stages = {{.id = "rows",
                        .source_topics = {"orders"},
                        .group_id = "g",
                        .table = TableSubject{.kind = TableKind::kSqlite,
                                              .location = file_,
                                              .table = "orders",
                                              .is_upsert = is_upsert,
                                              .columns = {{"id", ColumnType::kInteger, is_upsert},
                                                          {"amount", ColumnType::kReal, false},
                                                          {"note", ColumnType::kText, false}}}}}};
  }

  static Value note_of(const TestRow& row) {
    return row.note ? Value(std::string_view(*row.note)) : Value();
  }

  /// Commits one row for each of the offsets from `from`.
  void commit(Offset from, const std::vector<TestRow>& rows, bool is_upsert) {
    const Offset next = from + static_cast<std::int64_t>(rows.size());
    protocol::Receipt receipt{.pipeline = "p", .stage = "rows", .worker = "w"};
    receipt.commit_number = ++commit_number_;
    receipt.definition = definition_;
    receipt.inputs.push_back(log_.read(at("orders", 0), from, next));
    Offset offset = from;
    for (const TestRow& row : rows) {
      const auto [row_hash, key_hash] = hashes_of(row);
      receipt.rows.push_back({.source_offset = offset,
                              .row_hash = row_hash,
                              .key_hash = is_upsert ? key_hash : 0,
                              .is_delete = row.is_delete});
      write_row(row, offset, is_upsert);
      ++offset;
    }
    receipt.outputs.push_back(
        {.name = "orders", .record_count = static_cast<std::int64_t>(rows.size())});
    write_receipt(encode_receipt(receipt));
    execute("DELETE FROM onceflow_positions");
    execute(fmt::format("INSERT INTO onceflow_positions VALUES ('p', 'rows', 'orders', 0, {}, 1)",
                        next.value));
  }
  void write_row(const TestRow& row, Offset offset, bool is_upsert) {
    if (is_upsert) {
      execute(fmt::format("DELETE FROM orders WHERE id = {}", row.id));
    }
    if (!row.is_delete) {
      execute(fmt::format("INSERT INTO orders VALUES ({}, {}, {}, 'orders/0/{}')", row.id,
                          row.amount, row.note ? "'" + *row.note + "'" : "NULL", offset.value));
    }
  }
  void write_receipt(const Buffer& bytes, const std::string& stage = "rows") {
    sqlite3_stmt* statement = nullptr;
    sqlite3_prepare_v2(database_.get(),
                       "INSERT INTO onceflow_receipts (pipeline, stage, receipt)"
                       " VALUES ('p', ?2, ?1)",
                       -1, &statement, nullptr);
    sqlite3_bind_blob(statement, 1, bytes.data(), static_cast<int>(bytes.size()), SQLITE_STATIC);
    sqlite3_bind_text(statement, 2, stage.data(), static_cast<int>(stage.size()), SQLITE_STATIC);
    EXPECT_EQ(sqlite3_step(statement), SQLITE_DONE);
    sqlite3_finalize(statement);
  }

  static std::pair<std::uint64_t, std::uint64_t> hashes_of(const TestRow& row) {
    RowHash hash;
    hash.add("id", row.id);
    RowHash key = hash;
    hash.add("amount", row.amount);
    hash.add("note", note_of(row));
    return {hash.finish(), key.finish()};
  }
  /// As a reset lists the rows that it keeps; of those whose receipts it has seen, with hashes.
  void list_kept(const std::vector<TestRow>& rows, bool has_hashes,
                 std::int64_t without_source = 0) {
    protocol::Receipt list{.pipeline = "p", .stage = "rows (kept)", .worker = "onceflow reset"};
    list.definition = definition_;
    list.inputs.push_back({.source = at("orders", 0)});
    for (const TestRow& row : rows) {
      const auto [row_hash, key_hash] = hashes_of(row);
      list.rows.push_back({.source_offset = Offset(static_cast<std::int64_t>(list.rows.size())),
                           .row_hash = has_hashes ? row_hash : 0,
                           .key_hash = has_hashes ? key_hash : 0});
    }
    list.outputs.push_back(
        {.name = "orders",
         .record_count = static_cast<std::int64_t>(rows.size()) + without_source});
    write_receipt(encode_receipt(list), "rows (kept)");
  }

  /// What the receipts from now on go by.
  void define(const std::string& columns) {
    protocol::PipelineDefinition definition{.pipeline = "p"};
    definition.stages.push_back(
        {.id = "rows", .database = "sqlite orders.db", .outputs = {"orders"}, .columns = columns});
    definition_ = protocol::definition_hash(definition.stages.front().text());
    log_.create("p-definitions", 1);
    log_.append(at("p-definitions", 0),
                {{"", std::string(as_text(protocol::encode_definition(definition)))}});
  }

  void append_honestly() {
    commit(Offset(0), {{1, 1.5, "a"}, {2, 2.5, std::nullopt}, {3, 3, ""}}, false);
    commit(Offset(3), {{4, 1.5, "a"}, {5, -0.0, "b"}, {6, 0.1, "c"}}, false);
    commit(Offset(6), {{7, 1.5, "a"}, {8, 1e300, "b"}, {9, 3, "c"}}, false);
  }
  void upsert_honestly() {
    commit(Offset(0), {{1, 1.5, "a"}, {2, 2.5, "b"}, {3, 3, "c"}}, true);
    commit(Offset(3), {{1, 4.5, "d"}, {2, 0, std::nullopt, true}, {4, 6, "e"}}, true);
    commit(Offset(6), {{1, 7.5, "f"}, {5, 8, "g"}, {6, 9, "h"}}, true);
  }

  std::vector<std::string> audit(bool is_upsert, AuditOptions options = {}) {
    Auditor auditor(subject(is_upsert), log_, open_table, options);
    auto report = run_now(auditor.run());
    EXPECT_TRUE(report.has_value()) << report.error().text;
    verdict_ = verdict(*report);
    notes_ = report->findings.notes();
    rows_verified_ = report->stages[0].rows_verified;
    std::vector<std::string> texts;
    for (const Finding& finding : report->findings.kept()) {
      texts.push_back(to_string(finding.kind) + ": " + finding.text);
    }
    return texts;
  }

  struct Close {
    void operator()(sqlite3* database) const { sqlite3_close(database); }
  };
  std::string folder_;
  std::string file_;
  std::unique_ptr<sqlite3, Close> database_;
  MemoryLog log_;
  std::int64_t commit_number_ = 0;
  std::uint64_t definition_ = 0;
  std::vector<std::string> notes_;
  std::string verdict_;
  std::int64_t rows_verified_ = 0;
};

TEST_F(TableAuditTest, appended_rows_as_written_are_clean) {
  append_honestly();
  EXPECT_THAT(audit(false), ElementsAre());
  EXPECT_EQ(verdict_, "clean — 9 input records accounted for to the last row");
  EXPECT_EQ(rows_verified_, 9);
}

TEST_F(TableAuditTest, one_row_deleted_and_one_doubled_are_named) {
  append_honestly();
  execute("DELETE FROM orders WHERE id = 5");
  execute("INSERT INTO orders SELECT * FROM orders WHERE id = 2");
  EXPECT_THAT(
      audit(false),
      ElementsAre("missing: table orders: the row of orders/0/4 is not there (written in the "
                  "commit of receipt 2 in onceflow_receipts (worker w, its commit 2))",
                  "doubled: table orders: row of orders/0/1 (id=2, amount=2.5, note=null) is "
                  "there 2 times"));
  EXPECT_EQ(verdict_, "2 findings (1 missing, 1 doubled)");
}

TEST_F(TableAuditTest, a_changed_value_is_altered) {
  append_honestly();
  execute("UPDATE orders SET amount = 2.25 WHERE id = 2");
  EXPECT_THAT(audit(false),
              ElementsAre("altered: table orders: row of orders/0/1 (id=2, amount=2.25, "
                          "note=null) is not what was written"));
}

TEST_F(TableAuditTest, an_integer_in_the_place_of_a_text_is_altered) {
  append_honestly();
  execute("UPDATE orders SET note = x'61' WHERE id = 1");
  EXPECT_THAT(audit(false), ElementsAre());  // the same bytes
  execute("UPDATE orders SET id = '1x' WHERE id = 1");
  EXPECT_THAT(audit(false), ElementsAre(HasSubstr("altered")));
}

TEST_F(TableAuditTest, a_part_of_a_commit_is_torn) {
  append_honestly();
  execute("DELETE FROM orders WHERE id IN (7, 9)");
  EXPECT_THAT(audit(false),
              ElementsAre(HasSubstr("torn: table orders: of 3 rows of the commit of "
                                    "receipt 3 in onceflow_receipts (worker w, its "
                                    "commit 3), 2 are not there: orders/0/6, orders/0/8")));
}

TEST_F(TableAuditTest, a_row_of_nobody_is_foreign) {
  append_honestly();
  execute("INSERT INTO orders VALUES (10, 1, 'x', 'orders/0/9')");
  execute("INSERT INTO orders VALUES (11, 1, 'x', NULL)");
  EXPECT_THAT(audit(false),
              UnorderedElementsAre(HasSubstr("foreign: table orders: row of orders/0/9 "
                                             "(id=10"),
                                   HasSubstr("foreign: table orders: row of no source")));
  EXPECT_THAT(audit(false, {.strangers = Strangers::kAllowed}), ElementsAre());
}

TEST_F(TableAuditTest, rows_that_another_pipelines_receipts_speak_of_are_its_own_once) {
  for (const bool is_upsert : {false, true}) {
    execute("DELETE FROM orders");
    execute("DELETE FROM onceflow_receipts");
    commit(Offset(0), {{1, 1.5, "a"}, {2, 2.5, "b"}, {3, 3, "c"}}, is_upsert);
    commit(Offset(3), {{4, 4, "d"}, {5, 5, "e"}, {6, 6, "f"}}, is_upsert);
    commit(Offset(6), {{7, 7, "g"}, {8, 8, "h"}, {9, 9, "i"}}, is_upsert);
    // Records that our stage keeps out, as rows of pipeline q.
    protocol::Receipt receipt{.pipeline = "q", .stage = "rows", .worker = "w"};
    receipt.inputs.push_back(
        {.source = at("orders", 0), .from_offset = Offset(9), .next_offset = Offset(11)});
    receipt.rows = {{.source_offset = Offset(9)}, {.source_offset = Offset(10)}};
    receipt.outputs.push_back({.name = "orders", .record_count = 2});
    write_receipt(encode_receipt(receipt));
    execute("INSERT INTO orders VALUES (19, 1, 'q', 'orders/0/9')");
    execute("INSERT INTO orders VALUES (20, 1, 'q', 'orders/0/10')");
    execute(
        "UPDATE onceflow_receipts SET pipeline = 'q' WHERE receipt_id = "
        "(SELECT max(receipt_id) FROM onceflow_receipts)");
    EXPECT_THAT(audit(is_upsert), ElementsAre());
    EXPECT_THAT(notes_, ::testing::Contains("table orders: 2 rows of pipeline q"));
    EXPECT_EQ(rows_verified_, 9);
    execute("INSERT INTO orders VALUES (21, 1, 'x', 'orders/0/9')");  // once is q's
    execute("INSERT INTO orders VALUES (22, 1, 'x', 'orders/0/11')");
    execute("INSERT INTO orders VALUES (23, 1, 'x', 'by hand')");
    EXPECT_THAT(audit(is_upsert),
                UnorderedElementsAre(HasSubstr("foreign: table orders: row of orders/0/9 (id=21"),
                                     HasSubstr("foreign: table orders: row of orders/0/11"),
                                     HasSubstr("foreign: table orders: row of by hand")));
    execute("DELETE FROM orders WHERE id > 20");
    // What it wrote to another table is no word about this one.
    execute("DELETE FROM onceflow_receipts WHERE pipeline = 'q'");
    receipt.outputs.front().name = "invoices";
    write_receipt(encode_receipt(receipt));
    execute(
        "UPDATE onceflow_receipts SET pipeline = 'q' WHERE receipt_id = "
        "(SELECT max(receipt_id) FROM onceflow_receipts)");
    EXPECT_EQ(audit(is_upsert).size(), 2U);
  }
}

TEST_F(TableAuditTest, a_lost_receipt_row_is_missing) {
  append_honestly();
  execute("DELETE FROM onceflow_receipts WHERE receipt_id = 2");
  const auto found = audit(false);
  EXPECT_THAT(found, ::testing::Contains(HasSubstr("missing: orders-0 offsets 3..5 were never "
                                                   "accounted for by stage rows (3 records")));
  EXPECT_THAT(found, ::testing::Contains(HasSubstr("foreign: table orders: row of orders/0/3")));
}

TEST_F(TableAuditTest, where_no_receipt_is_left_what_was_written_is_not_covered) {
  for (const bool is_upsert : {false, true}) {
    execute("DELETE FROM orders");
    commit(Offset(0), {{1, 1.5, "a"}, {2, 2.5, "b"}, {3, 3, "c"}}, is_upsert);
    execute("DELETE FROM onceflow_receipts");
    EXPECT_THAT(audit(is_upsert), ElementsAre());
    EXPECT_THAT(notes_, Contains(HasSubstr("not covered: the first receipts of stage rows were "
                                           "deleted from onceflow_receipts")));
    EXPECT_THAT(notes_, Contains(HasSubstr("not covered: table orders: 3 rows, of orders/0/0 to "
                                           "orders/0/2, whose receipts were deleted")));
    execute("INSERT INTO orders VALUES (4, 1, 'x', 'orders/0/3')");
    EXPECT_THAT(audit(is_upsert),
                ElementsAre(HasSubstr("foreign: table orders: row of orders/0/3")));
    // A position that is nowhere yet has lost nothing.
    execute("DELETE FROM orders");
    execute("UPDATE onceflow_positions SET next_offset = -1");
    EXPECT_THAT(audit(is_upsert), ElementsAre());
    EXPECT_THAT(notes_, ::testing::Not(Contains(HasSubstr("were deleted"))));
  }
}

TEST_F(TableAuditTest, a_position_behind_its_rows_is_doubled) {
  append_honestly();
  execute("UPDATE onceflow_positions SET next_offset = 6");
  EXPECT_THAT(audit(false), ElementsAre(HasSubstr("doubled: orders-0: the position in "
                                                  "onceflow_positions is offset 6")));
}

TEST_F(TableAuditTest, a_position_past_the_end_of_the_log_is_missing) {
  append_honestly();
  execute("UPDATE onceflow_positions SET next_offset = 12");
  EXPECT_THAT(audit(false),
              ElementsAre("missing: orders-0: the position in onceflow_positions is offset 12, but "
                          "the topic ends at offset 9: records that come at offsets 9..11 would "
                          "never be read by stage rows"));
  // Also where no receipt says how far it came.
  execute("DELETE FROM onceflow_receipts");
  EXPECT_THAT(audit(false), ElementsAre(HasSubstr("but the topic ends at offset 9")));
}

TEST_F(TableAuditTest, upserted_rows_as_written_are_clean) {
  upsert_honestly();
  EXPECT_THAT(audit(true), ElementsAre());
  EXPECT_EQ(rows_verified_, 5);
}

TEST_F(TableAuditTest, an_upsert_that_was_undone_is_missing) {
  upsert_honestly();
  execute(
      "UPDATE orders SET amount = 4.5, note = 'd', onceflow_source = 'orders/0/3' WHERE id = 1");
  EXPECT_THAT(audit(true), ElementsAre(HasSubstr("missing: table orders: row of orders/0/3 (id=1, "
                                                 "amount=4.5, note='d') should be the row of "
                                                 "orders/0/6")));
}

TEST_F(TableAuditTest, a_deleted_key_that_came_back_is_named) {
  upsert_honestly();
  execute("INSERT INTO orders VALUES (2, 2.5, 'b', 'orders/0/1')");
  EXPECT_THAT(audit(true), ElementsAre(HasSubstr("its deletion by orders/0/4 is missing")));
}

TEST_F(TableAuditTest, an_altered_and_a_lost_and_a_doubled_key_are_named) {
  upsert_honestly();
  execute("UPDATE orders SET note = 'x' WHERE id = 5");
  execute("DELETE FROM orders WHERE id = 3");
  execute("INSERT INTO orders SELECT * FROM orders WHERE id = 4");
  EXPECT_THAT(audit(true),
              ElementsAre(HasSubstr("missing: table orders: the row of orders/0/2"),
                          HasSubstr("doubled: table orders: row of orders/0/5 (id=4"),
                          HasSubstr("altered: table orders: row of orders/0/7 (id=5")));
}

TEST_F(TableAuditTest, rows_are_judged_by_the_definition_of_their_receipt) {
  // Columns of the file, in another order or fewer, are compared; others are not.
  define(
      "mode append\ncolumn id integer = $.i\ncolumn amount real = $.a\ncolumn note text = $.n\n");
  append_honestly();
  EXPECT_THAT(audit(false), ElementsAre());
  execute("UPDATE orders SET amount = 77 WHERE id = 1");
  EXPECT_THAT(audit(false), ElementsAre(HasSubstr("altered: table orders: row of orders/0/")));
  define(
      "mode append\ncolumn id integer = $.i\ncolumn amount real = $.a\ncolumn note text = $.n\n"
      "column gone text = $.g\n");
  log_.append(at("orders", 0), {{"k", "v9"}});
  commit(Offset(9), {{10, 9.5, "x"}}, false);
  EXPECT_THAT(audit(false), ElementsAre(HasSubstr("row of orders/0/")));
  EXPECT_THAT(verdict_, HasSubstr("finding"));
  EXPECT_THAT(notes_, Contains(HasSubstr("1 row of a definition with columns that the file does "
                                         "not name")));
}

TEST_F(TableAuditTest, rows_kept_by_another_mode_are_not_covered_and_not_foreign) {
  define(
      "mode append\ncolumn id integer = $.i\ncolumn amount real = $.a\ncolumn note text = $.n\n");
  commit(Offset(0), {{1, 0.5, "a"}, {2, 0.5, "b"}, {3, 0.5, "c"}}, false);
  define(
      "mode upsert\nkey column id integer = $.i\ncolumn amount real = $.a\n"
      "column note text = $.n\n");
  commit(Offset(3), {{1, 1.5, "d"}, {4, 1.5, "e"}}, true);
  EXPECT_THAT(audit(true), ElementsAre());
  EXPECT_THAT(notes_, Contains(HasSubstr("2 rows of that time remain, and are not judged")));
  execute("UPDATE orders SET amount = 9 WHERE id = 4");
  EXPECT_THAT(audit(true), ElementsAre(HasSubstr("altered")));
}

// ------------------------------------------------------------------------------------- start-overs

TEST_F(TableAuditTest, positions_of_another_start_over_are_found) {
  append_honestly();
  log_.create("p-receipts", 1);
  log_.set_id("p-receipts", 1);
  TopicId now{};
  now.bytes[0] = 1;
  TopicId before{};
  before.bytes[0] = 2;
  const std::string id = to_text(before);
  EXPECT_THAT(audit(false), ElementsAre());  // a version that keeps no ids
  execute("ALTER TABLE onceflow_positions ADD COLUMN topic_id TEXT");
  const auto set = [&](const std::string& topic_id) {
    execute(fmt::format("UPDATE onceflow_positions SET topic_id = '{}'", topic_id));
  };
  for (const std::string& known : {std::string(), id, id + " receipts=unknown",
                                   id + " receipts=" + to_text(now), std::string("unknown")}) {
    set(known);
    EXPECT_THAT(audit(false), ElementsAre()) << known;
    EXPECT_EQ(verdict_, "clean — 9 input records accounted for to the last row") << known;
  }
  set(id + " receipts=" + id);
  EXPECT_THAT(audit(false),
              ElementsAre(HasSubstr("altered: table orders: the position orders-0@9 of stage rows "
                                    "is not of the pipeline's newest start-over: topic p-receipts "
                                    "was made anew (its id was " +
                                    id + ", and is " + to_text(now) + ")")));
  // A reset that has not ended refuses every other.
  protocol::PipelineDefinition begun;
  begun.kind = protocol::PipelineDefinition::Kind::kResetBegun;
  begun.pipeline = "p";
  begun.flags = "--to-latest --keep-rows";
  log_.create("p-definitions", 1);
  const Buffer bytes = protocol::encode_definition(begun);
  log_.append({"p-definitions", PartitionIndex(0)}, {{"", std::string(as_text(bytes))}});
  EXPECT_THAT(audit(false),
              ElementsAre(::testing::AllOf(
                  ::testing::EndsWith("the fix: onceflow reset FILE --to-latest --keep-rows "
                                      "--execute"),
                  ::testing::Not(HasSubstr("--to-current")))));
  // Not where it is not begun, nor of a topic that it does not read.
  execute("UPDATE onceflow_positions SET next_offset = -1");
  EXPECT_THAT(audit(false), ::testing::Not(Contains(HasSubstr("start-over"))));
  execute("UPDATE onceflow_positions SET next_offset = 9, topic = 'left'");
  EXPECT_THAT(audit(false), ::testing::Not(Contains(HasSubstr("start-over"))));
}

TEST_F(TableAuditTest, without_a_receipts_topic_no_start_over_can_be_told) {
  append_honestly();
  TopicId before{};
  before.bytes[0] = 2;
  execute("ALTER TABLE onceflow_positions ADD COLUMN topic_id TEXT");
  execute(
      fmt::format("UPDATE onceflow_positions SET topic_id = '{0} receipts={0}'", to_text(before)));
  EXPECT_THAT(audit(false), ElementsAre());
  EXPECT_THAT(notes_, Contains(HasSubstr("not covered: table orders: the position orders-0@9 of "
                                         "stage rows is of the time of topic p-receipts")));
  log_.create("p-receipts", 1);  // on a cluster without ids
  EXPECT_THAT(audit(false), ElementsAre());
  EXPECT_THAT(verdict_, HasSubstr("to the last row"));
}

TEST_F(TableAuditTest, rows_of_a_stage_that_the_file_does_not_have_were_not_kept_by_a_reset) {
  append_honestly();
  execute(
      "UPDATE onceflow_receipts SET stage = 'former' WHERE receipt_id = "
      "(SELECT min(receipt_id) FROM onceflow_receipts)");
  audit(false);
  EXPECT_THAT(notes_, Contains(HasSubstr(
                          "of which onceflow_receipts speaks under a stage that the file does "
                          "not have")));
  EXPECT_THAT(notes_, ::testing::Not(Contains(HasSubstr("begun anew"))));
}

// ---------------------------------------------------------------------------- rows that were kept

class KeptRowsAuditTest : public TableAuditTest {
 protected:
  /// Rows of before the start-over at offsets 0 and on, and those that came again.
  void begin(const std::vector<TestRow>& kept, bool has_hashes, const std::vector<TestRow>& again,
             bool is_upsert = false) {
    Offset offset(0);
    for (const TestRow& row : kept) {
      write_row(row, offset, is_upsert);
      ++offset;
    }
    list_kept(kept, has_hashes);
    commit(Offset(0), again, is_upsert);
  }
  std::string note() const {
    for (const std::string& note : notes_) {
      if (note.contains("table orders")) {
        return note;
      }
    }
    return {};
  }
  const std::vector<TestRow> old_{{1, 1, "old"}, {2, 2, "old"}, {3, 3, "old"}};
  const std::vector<TestRow> new_{{1, 1, "new"}, {2, 2, "new"}, {3, 3, "new"},
                                  {4, 4, "new"}, {5, 5, "new"}, {6, 6, "new"},
                                  {7, 7, "new"}, {8, 8, "new"}, {9, 9, "new"}};
};

TEST_F(KeptRowsAuditTest, kept_and_new_rows_of_one_record_are_told_apart) {
  begin(old_, true, new_);
  EXPECT_THAT(audit(false), ElementsAre());
  EXPECT_EQ(note(),
            "not covered: table orders: 3 rows, of orders/0/0 to orders/0/2, kept from before the "
            "stage was begun anew (at 1970-01-01T00:00:00.000Z)");
  EXPECT_EQ(rows_verified_, 9);
  // A kept one goes, and it is said which.
  execute("DELETE FROM orders WHERE id = 2 AND note = 'old'");
  EXPECT_THAT(audit(false), ElementsAre());
  EXPECT_THAT(note(), HasSubstr(", of 3 that were kept; gone: orders/0/1"));
  EXPECT_EQ(rows_verified_, 9);
  // A new one goes: no kept one is taken for it.
  execute("DELETE FROM orders WHERE id = 1 AND note = 'new'");
  EXPECT_THAT(audit(false), ElementsAre(HasSubstr("missing: table orders: the row of orders/0/0")));
  EXPECT_EQ(rows_verified_, 8);
}

TEST_F(KeptRowsAuditTest, a_new_row_that_was_altered_is_not_taken_for_a_kept_one) {
  for (const char* const order : {"ASC", "DESC"}) {
    execute("DELETE FROM orders");
    execute("DELETE FROM onceflow_receipts");
    begin(old_, true, new_);
    execute("UPDATE orders SET note = 'x' WHERE id = 1 AND note = 'new'");
    execute(fmt::format("CREATE TABLE sorted AS SELECT * FROM orders ORDER BY note {}", order));
    execute("DROP TABLE orders");
    execute("ALTER TABLE sorted RENAME TO orders");
    EXPECT_THAT(audit(false), ElementsAre(HasSubstr("altered: table orders: row of orders/0/0")))
        << order;
    // Of a kept one it is said.
    execute("UPDATE orders SET note = 'new' WHERE note = 'x'");
    execute("UPDATE orders SET note = 'y' WHERE id = 2 AND note = 'old'");
    EXPECT_THAT(audit(false), ElementsAre()) << order;
    EXPECT_THAT(note(), HasSubstr("; not as their receipts said: orders/0/1")) << order;
  }
}

TEST_F(KeptRowsAuditTest, one_more_is_doubled_and_the_stranger_is_named) {
  for (const char* const order : {"ASC", "DESC"}) {
    execute("DELETE FROM orders");
    execute("DELETE FROM onceflow_receipts");
    begin({{1, 1, "b"}, {2, 2, "b"}}, true,
          {{1, 1, "c"},
           {2, 2, "c"},
           {3, 3, "c"},
           {4, 4, "c"},
           {5, 5, "c"},
           {6, 6, "c"},
           {7, 7, "c"},
           {8, 8, "c"},
           {9, 9, "c"}});
    execute("INSERT INTO orders VALUES (1, 1, 'a', 'orders/0/0')");
    execute(fmt::format("CREATE TABLE sorted AS SELECT * FROM orders ORDER BY note {}", order));
    execute("DROP TABLE orders");
    execute("ALTER TABLE sorted RENAME TO orders");
    EXPECT_THAT(audit(false), ElementsAre(HasSubstr("doubled: table orders: row of orders/0/0")))
        << order;
  }
}

TEST_F(KeptRowsAuditTest, where_no_new_row_is_of_the_record_the_stranger_is_named) {
  for (const char* const order : {"ASC", "DESC"}) {
    execute("DELETE FROM orders");
    execute("DELETE FROM onceflow_receipts");
    write_row({1, 1, "b"}, Offset(0), false);
    write_row({1, 1, "a"}, Offset(0), false);
    list_kept({{1, 1, "b"}}, true);
    execute(fmt::format("CREATE TABLE sorted AS SELECT * FROM orders ORDER BY note {}", order));
    execute("DROP TABLE orders");
    execute("ALTER TABLE sorted RENAME TO orders");
    EXPECT_THAT(audit(false),
                ElementsAre(HasSubstr("foreign: table orders: row of orders/0/0 (id=1, amount=1, "
                                      "note='a')")))
        << order;
  }
}

TEST_F(KeptRowsAuditTest, where_nothing_tells_them_apart_it_says_so) {
  // The same values, or a list of an earlier version.
  for (const bool has_hashes : {true, false}) {
    execute("DELETE FROM orders");
    execute("DELETE FROM onceflow_receipts");
    begin(has_hashes ? std::vector(new_.begin(), new_.begin() + 3) : old_, has_hashes, new_);
    execute(has_hashes ? "DELETE FROM orders WHERE rowid IN (SELECT max(rowid) FROM orders WHERE "
                         "id = 3)"
                       : "DELETE FROM orders WHERE id = 3 AND note = 'old'");
    EXPECT_THAT(audit(false), ElementsAre());
    EXPECT_THAT(note(), HasSubstr(", of 3 that were kept; gone, or the new row of that record is, "
                                  "which holds the same: orders/0/2"));
  }
}

TEST_F(KeptRowsAuditTest, where_all_are_gone_it_says_so) {
  begin(old_, true, new_);
  execute("DELETE FROM orders WHERE note = 'old'");
  EXPECT_THAT(audit(false), ElementsAre());
  EXPECT_EQ(note(),
            "not covered: table orders: 0 of 3 rows are left that were kept when the stage was "
            "begun anew (at 1970-01-01T00:00:00.000Z); gone: orders/0/0, orders/0/1, orders/0/2");
  EXPECT_THAT(verdict_, HasSubstr("1 part not covered"));
  // As those of which no record is known.
  execute("DELETE FROM onceflow_receipts WHERE stage = 'rows (kept)'");
  list_kept({}, true, 2);
  EXPECT_THAT(audit(false), ElementsAre());
  EXPECT_THAT(note(), HasSubstr("0 of 2 rows are left"));
  // Of an empty list there is nothing to say.
  execute("DELETE FROM onceflow_receipts WHERE stage = 'rows (kept)'");
  list_kept({}, true);
  EXPECT_THAT(audit(false), ElementsAre());
  EXPECT_THAT(verdict_, HasSubstr("to the last row"));
}

TEST_F(KeptRowsAuditTest, an_upserted_row_takes_the_place_of_the_kept_one_of_its_key) {
  begin(old_, true, new_, true);
  EXPECT_THAT(audit(true), ElementsAre());
  EXPECT_THAT(verdict_, HasSubstr("clean — 9 input records accounted for to the last row"));
  // Of another key it stays.
  execute("DELETE FROM onceflow_receipts WHERE stage = 'rows (kept)'");
  list_kept({{1, 1, "old"}, {20, 2, "old"}, {21, 2, "old"}}, true);
  execute("INSERT INTO orders VALUES (20, 2, 'old', 'orders/0/1')");
  EXPECT_THAT(audit(true), ElementsAre());
  EXPECT_THAT(note(), HasSubstr("1 row, of orders/0/1, kept"));
  EXPECT_THAT(note(), HasSubstr(", of 2 that were kept; gone: orders/0/2"));
  // A list of an earlier version does not say which key.
  execute("DELETE FROM onceflow_receipts WHERE stage = 'rows (kept)'");
  list_kept(old_, false);
  execute("DELETE FROM orders WHERE id = 20");
  EXPECT_THAT(audit(true), ElementsAre());
  EXPECT_THAT(note(), HasSubstr("0 of 3 rows are left"));
  EXPECT_THAT(note(), HasSubstr("; gone, or replaced by a new row of its key: orders/0/0"));
}

TEST_F(TableAuditTest, a_database_that_is_not_there_is_lag) {
  database_.reset();
  std::filesystem::remove(file_);
  EXPECT_THAT(audit(false), ElementsAre());
  EXPECT_THAT(verdict_, HasSubstr("9 not yet processed"));
}

TEST_F(TableAuditTest, rows_without_our_tables_are_foreign) {
  append_honestly();
  execute("DROP TABLE onceflow_receipts");
  execute("DROP TABLE onceflow_positions");
  const auto found = audit(false);
  EXPECT_EQ(found.size(), 9U);
  EXPECT_THAT(found, ::testing::Each(HasSubstr("foreign: table orders")));
}

TEST_F(TableAuditTest, a_table_that_is_gone_is_all_missing) {
  append_honestly();
  execute("DROP TABLE orders");
  EXPECT_EQ(audit(false).size(), 9U);
}

}  // namespace
}  // namespace onceflow::audit
