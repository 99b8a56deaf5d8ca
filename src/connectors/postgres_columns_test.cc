// The columns that people have, in a real server: what they keep exactly, and what they would round
// or cut, which is refused by name. Runs where a server is given (tests/postgres/run).
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "connectors/postgres_column.h"
#include "connectors/sink_world_testing.h"

namespace onceflow::connectors {
namespace {

using Kind = CommitOutcome::Kind;

const TopicPartition kIn0{"in", PartitionIndex(0)};

std::string_view text(std::string_view view) { return view; }

std::string show(const Value& value) {
  std::string shown = "null";
  if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    shown = std::to_string(*integer);
  } else if (const auto* real = std::get_if<double>(&value)) {
    shown = std::to_string(*real);
  } else if (const auto* decimal = std::get_if<Decimal>(&value)) {
    shown = decimal->digits;
  } else if (const auto* words = std::get_if<std::string_view>(&value)) {
    shown = *words;
  }
  return shown;
}

TEST(PostgresColumn, tells_what_would_be_rounded_or_cut) {
  const auto numeric = [](int precision, int scale) {
    return PostgresColumn{PostgresType::kNumeric, ((precision << 16) | (scale & 0x7ff)) + 4,
                          "numeric"};
  };
  const PostgresColumn any_numeric{PostgresType::kNumeric};
  const PostgresColumn varchar{PostgresType::kVarchar, 4 + 4, "character varying(4)"};
  const PostgresColumn float4{PostgresType::kFloat4};
  const PostgresColumn seconds{PostgresType::kTimestamptz, 0};
  const PostgresColumn millis{PostgresType::kTimestamptz, 3};
  const std::vector<std::pair<PostgresColumn, Value>> kept = {
      {numeric(10, 2), Decimal{"1.05"}},
      {numeric(10, 2), Decimal{"0"}},
      {numeric(10, 2), std::int64_t{7}},
      {numeric(10, 0), Decimal{"-12"}},
      {numeric(3, -2), Decimal{"12300"}},
      {any_numeric, Decimal{"1e-400"}},
      {varchar, text("Köln")},
      {varchar, text("")},
      {seconds, text("2024-02-29T12:30:00Z")},
      {millis, text("2024-02-29T12:30:00.123Z")},
      {millis, text("2024-02-29T12:30:00.5Z")},
      {{PostgresType::kTimestamp}, text("2024-02-29T12:30:00.123456")},
      {float4, 0.1},
      {float4, 16777216.0},
      {float4, -3.4028235e38},
      {float4, Value()},
      {{PostgresType::kInt2}, std::int64_t{-32768}}};
  for (const auto& [column, value] : kept) {
    EXPECT_TRUE(check_kept({.table = "t"}, "c", column, value)) << show(value);
  }
  const std::vector<std::pair<PostgresColumn, Value>> refused = {
      {numeric(10, 2), Decimal{"1.005"}},
      {numeric(10, 2), Decimal{"1e-30"}},
      {numeric(10, 0), Decimal{"0.5"}},
      {numeric(3, -2), Decimal{"12345"}},
      {numeric(3, -2), std::int64_t{150}},
      {seconds, text("2024-02-29T12:30:00.5Z")},
      {millis, text("2024-02-29T12:30:00.1234Z")},
      {{PostgresType::kTimestamp, 0}, text("2024-02-29T12:30:00.1")},
      {varchar, text("Köln ")},
      {varchar, text("Kolb ")},
      {varchar, text("Kölner")},
      {float4, 0.123456789},
      {float4, 16777217.0},
      {float4, 1e39},
      {{PostgresType::kInt2}, std::int64_t{32768}}};
  for (const auto& [column, value] : refused) {
    const Status checked = check_kept({.table = "t"}, "c", column, value);
    ASSERT_FALSE(checked) << show(value);
    EXPECT_TRUE(checked.error().text.contains("column c is ")) << checked.error().text;
    EXPECT_TRUE(
        checked.error().text.contains("the fix: ALTER TABLE \"t\" ALTER COLUMN \"c\" TYPE "))
        << checked.error().text;
  }
}

class PostgresColumns : public testing::Test {
 protected:
  void SetUp() override {
    world_ = make_postgres_world();
    if (world_ == nullptr) {
      GTEST_SKIP() << "no server; see tests/postgres/run";
    }
  }

  std::unique_ptr<Sink> make(SinkMode mode, ColumnType type) {
    const bool is_key = mode == SinkMode::kUpsert;
    return world_->make_sink(os_.environment(), {"p", "s", "rows", mode, {{"v", type, is_key}}});
  }
  /// Writes the values as rows of a sink that has just claimed.
  CommitOutcome write(Sink& sink, const std::vector<Value>& values, bool deletes = false) {
    const auto claimed = run_to_end(os_, sink.claim({kIn0}));
    EXPECT_TRUE(claimed.has_value()) << claimed.error().text;
    if (!claimed) {
      return {};
    }
    const std::int64_t begin = std::max<std::int64_t>(0, claimed->front().next_offset.value);
    TestCommit batch;
    const auto count = static_cast<std::int64_t>(values.size());
    if (begin == 0) {
      batch.at(claimed->front(), count);
    } else {
      batch.from(claimed->front(), begin, begin + count);
    }
    for (std::int64_t row = 0; row < count; ++row) {
      const Value& value = values[static_cast<std::size_t>(row)];
      deletes ? batch.remove(begin + row, {value}) : batch.row(begin + row, {value});
    }
    return run_to_end(os_, sink.commit(batch.commit));
  }
  std::string query(const std::string& sql) { return world_->query(sql); }

  io::OsEnvironment os_;
  std::unique_ptr<SinkWorld> world_;
};

const std::vector<std::string> kNumbers = {"0",
                                           "1",
                                           "-1",
                                           "9999",
                                           "10000",
                                           "10001",
                                           "0.1",
                                           "-0.0001",
                                           "0.00001",
                                           "123456789.987654321",
                                           "18446744073709551615",
                                           "0.1000000000000000055511151231257827",
                                           "1e+400",
                                           "-2.5e-30",
                                           "1e-1000",
                                           "1e+1000"};

std::vector<Value> decimals(const std::vector<std::string>& numbers) {
  std::vector<Value> values;
  values.reserve(numbers.size());
  for (const std::string& number : numbers) {
    values.emplace_back(Decimal{number});
  }
  return values;
}

TEST_F(PostgresColumns, keep_every_digit_of_a_decimal_by_copy_and_by_upsert) {
  std::string wrong = "SELECT count(*) FROM rows WHERE v NOT IN (0";
  for (const std::string& number : kNumbers) {
    wrong += ", '" + number + "'::numeric";
  }
  wrong += ")";
  for (const SinkMode mode : {SinkMode::kAppend, SinkMode::kUpsert}) {
    auto sink = make(mode, ColumnType::kDecimal);
    const CommitOutcome outcome = write(*sink, decimals(kNumbers));
    ASSERT_EQ(outcome.kind, Kind::kCommitted) << outcome.text;
    EXPECT_EQ(query("SELECT count(DISTINCT v) FROM rows"), std::to_string(kNumbers.size()));
    EXPECT_EQ(query(wrong), "0");
    if (mode == SinkMode::kUpsert) {
      EXPECT_EQ(write(*sink, decimals(kNumbers), true).kind, Kind::kCommitted);
      EXPECT_EQ(query("SELECT count(*) FROM rows"), "0");
    }
    query("DROP TABLE rows, onceflow_positions, onceflow_receipts");
  }
}

struct TypedColumn {
  ColumnType type;
  std::vector<std::string> texts;
  std::string sql;  ///< of the texts as the table shows them, in the order of v
};

const std::string kDeep = std::string(1999, '[') + std::string(1999, ']');

const std::vector<TypedColumn> kTypedColumns = {
    {ColumnType::kTimestamptz,
     {"0001-01-01T00:00:00Z", "1969-12-31T23:59:59.999999Z", "2000-01-01T00:00:00Z",
      "2024-02-29T11:30:00.5Z", "9999-12-31T23:59:59.999999Z"},
     "to_char(v AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')"},
    {ColumnType::kTimestamp,
     {"0001-01-01T00:00:00", "1999-12-31T23:59:59.000001", "9999-12-31T23:59:59.999999"},
     "to_char(v, 'YYYY-MM-DD HH24:MI:SS.US')"},
    {ColumnType::kDate, {"0001-01-01", "1999-12-31", "2024-02-29", "9999-12-31"}, "v::text"},
    {ColumnType::kUuid,
     {"00000000-0000-0000-0000-000000000000", "123e4567-e89b-12d3-a456-426614174abc",
      "ffffffff-ffff-ffff-ffff-ffffffffffff"},
     "v::text"},
    {ColumnType::kJsonb,
     {"null", R"("a\u000b")", "-0.5", "1e+400", "[]", R"({"a":[true,{"b":null}],"bb":""})"},
     ""},
    {ColumnType::kBytea, {"", std::string("\0\xff", 2), "a"}, "encode(v, 'hex')"},
};

// What the column shows of the texts, as the tests write them.
std::string shown_by_server(const TypedColumn& column, const std::string& text) {
  if (column.type == ColumnType::kBytea) {
    std::string hex;
    for (const char byte : text) {
      hex += fmt::format("{:02x}", static_cast<unsigned char>(byte));
    }
    return hex;
  }
  if (column.type != ColumnType::kTimestamptz && column.type != ColumnType::kTimestamp) {
    return text;
  }
  std::string shown = text.ends_with('Z') ? text.substr(0, text.size() - 1) : text;
  shown[10] = ' ';
  shown += shown.contains('.') ? "" : ".";
  return shown + std::string(26 - shown.size(), '0');
}

TEST_F(PostgresColumns, of_texts_in_one_form_keep_every_one_by_copy_and_by_upsert) {
  for (const TypedColumn& column : kTypedColumns) {
    std::string shown;
    std::vector<Value> values;
    values.reserve(column.texts.size());
    for (const std::string& text : column.texts) {
      values.emplace_back(std::string_view(text));
      shown += (values.size() == 1 ? "" : "|") + shown_by_server(column, text);
    }
    for (const SinkMode mode : {SinkMode::kAppend, SinkMode::kUpsert}) {
      auto sink = make(mode, column.type);
      const CommitOutcome outcome = write(*sink, values);
      ASSERT_EQ(outcome.kind, Kind::kCommitted) << to_string(column.type) << ": " << outcome.text;
      EXPECT_EQ(query("SELECT count(DISTINCT v) FROM rows"), std::to_string(values.size()));
      if (!column.sql.empty()) {
        EXPECT_EQ(query(fmt::format("SELECT string_agg({}, '|' ORDER BY v) FROM rows", column.sql)),
                  shown);
      }
      if (mode == SinkMode::kUpsert) {
        EXPECT_EQ(write(*sink, values).kind, Kind::kCommitted);
        EXPECT_EQ(query("SELECT count(*) FROM rows"), std::to_string(values.size()));
        EXPECT_EQ(write(*sink, values, true).kind, Kind::kCommitted);
        EXPECT_EQ(query("SELECT count(*) FROM rows"), "0");
      }
      query("DROP TABLE rows, onceflow_positions, onceflow_receipts");
    }
  }
}

TEST_F(PostgresColumns, of_jsonb_keep_what_nests_deeply) {
  auto sink = make(SinkMode::kAppend, ColumnType::kJsonb);
  const CommitOutcome outcome = write(*sink, {std::string_view(kDeep)});
  ASSERT_EQ(outcome.kind, Kind::kCommitted) << outcome.text;
  EXPECT_EQ(query("SELECT v::text FROM rows"), kDeep);
}

TEST_F(PostgresColumns, of_json_keep_it_as_it_is_written) {
  const std::string json = R"( {"a":1.10, "a":"\u0000"} )";
  auto sink = make(SinkMode::kAppend, ColumnType::kJson);
  const CommitOutcome outcome = write(*sink, {std::string_view(json), std::string_view(kDeep)});
  ASSERT_EQ(outcome.kind, Kind::kCommitted) << outcome.text;
  EXPECT_EQ(query("SELECT count(*) FROM rows WHERE v::text = ' {\"a\":1.10, \"a\":\"\\u0000\"} '"),
            "1");
}

TEST_F(PostgresColumns, of_a_scale_refuse_what_they_would_round) {
  for (const SinkMode mode : {SinkMode::kAppend, SinkMode::kUpsert}) {
    query("CREATE TABLE rows (v numeric(10,2) PRIMARY KEY, onceflow_source text)");
    auto sink = make(mode, ColumnType::kDecimal);
    const CommitOutcome outcome = write(*sink, decimals({"1.05", "1.005"}));
    EXPECT_EQ(outcome.kind, Kind::kRefused) << outcome.text;
    EXPECT_EQ(outcome.refused_row, 1U);
    EXPECT_TRUE(outcome.text.contains("column v is numeric(10,2) but got the number 1.005"))
        << outcome.text;
    // What has too many digits in front of the point is the server's to refuse.
    const CommitOutcome large = write(*sink, decimals({"7", "123456789"}));
    EXPECT_EQ(large.kind, Kind::kRefused) << large.text;
    EXPECT_EQ(large.refused_row, 1U);
    EXPECT_EQ(write(*sink, decimals({"7", "99999999.99"})).kind, Kind::kCommitted);
    EXPECT_EQ(query("SELECT v FROM rows ORDER BY v"), "7.00\n99999999.99");
    query("DROP TABLE rows, onceflow_positions, onceflow_receipts");
  }
}

TEST_F(PostgresColumns, of_other_types_keep_what_they_can_hold) {
  struct Column {
    std::string declared;
    ColumnType type;
    std::vector<Value> values;
    std::string rows;
  };
  const std::vector<Column> columns = {
      {"numeric", ColumnType::kInteger, {std::int64_t{-7}, std::int64_t{12345678}}, "-7\n12345678"},
      {"numeric(12,2)", ColumnType::kInteger, {std::int64_t{-7}}, "-7.00"},
      {"real", ColumnType::kReal, {0.1, 1.5}, "0.1\n1.5"},
      {"boolean", ColumnType::kBoolean, {std::int64_t{0}, std::int64_t{1}}, "f\nt"},
      {"smallint", ColumnType::kInteger, {std::int64_t{-32768}}, "-32768"},
  };
  for (const Column& column : columns) {
    for (const SinkMode mode : {SinkMode::kAppend, SinkMode::kUpsert}) {
      query("CREATE TABLE rows (v " + column.declared + " PRIMARY KEY, onceflow_source text)");
      const CommitOutcome outcome = write(*make(mode, column.type), column.values);
      EXPECT_EQ(outcome.kind, Kind::kCommitted) << column.declared << ": " << outcome.text;
      EXPECT_EQ(query("SELECT v FROM rows ORDER BY v"), column.rows) << column.declared;
      query("DROP TABLE rows, onceflow_positions, onceflow_receipts");
    }
  }
}

TEST_F(PostgresColumns, of_enums_take_labels_and_refuse_other_texts) {
  query("CREATE TYPE \"Mood of day\" AS ENUM ('sad', 'not so bad')");
  for (const SinkMode mode : {SinkMode::kAppend, SinkMode::kUpsert}) {
    query("CREATE TABLE rows (v \"Mood of day\" PRIMARY KEY, onceflow_source text)");
    auto sink = make(mode, ColumnType::kText);
    const CommitOutcome outcome = write(*sink, {text("sad"), text("glad")});
    EXPECT_EQ(outcome.kind, Kind::kRefused) << outcome.text;
    EXPECT_EQ(outcome.refused_row, 1U);
    EXPECT_TRUE(outcome.text.contains("glad")) << outcome.text;
    EXPECT_EQ(write(*sink, {text("sad"), text("not so bad")}).kind, Kind::kCommitted);
    EXPECT_EQ(query("SELECT v FROM rows ORDER BY v"), "sad\nnot so bad");
    if (mode == SinkMode::kUpsert) {
      EXPECT_EQ(write(*sink, {text("sad")}, true).kind, Kind::kCommitted);
      EXPECT_EQ(query("SELECT v FROM rows"), "not so bad");
    }
    query("DROP TABLE rows, onceflow_positions, onceflow_receipts");
  }
  query("DROP TYPE \"Mood of day\"");
}

TEST_F(PostgresColumns, that_take_no_value_are_refused_with_fixes_that_help) {
  struct Refused {
    std::string columns;
    SinkMode mode;
    ColumnType type;
    std::string says;
    std::string fix;
  };
  const std::string alter = "ALTER TABLE \"rows\" ALTER COLUMN \"v\" ";
  const std::string source = ", onceflow_source text";
  const std::vector<Refused> refused = {
      {"v bigint GENERATED ALWAYS AS (1) STORED" + source, SinkMode::kAppend, ColumnType::kInteger,
       "leave v out of the sink's `columns`, or ALTER", alter + "DROP EXPRESSION"},
      {"v bigint GENERATED ALWAYS AS (1) STORED PRIMARY KEY" + source, SinkMode::kUpsert,
       ColumnType::kInteger, "the fix: ALTER", alter + "DROP EXPRESSION"},
      {"v bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY" + source, SinkMode::kUpsert,
       ColumnType::kInteger, "bigint GENERATED ALWAYS AS IDENTITY",
       alter + "SET GENERATED BY DEFAULT"},
      {"v money2" + source, SinkMode::kAppend, ColumnType::kDecimal,
       "money2, a domain over numeric(12,2)", alter + "TYPE numeric(12,2)"},
      {"v positive PRIMARY KEY" + source, SinkMode::kUpsert, ColumnType::kDecimal,
       "positive, a domain over numeric(12,2)", alter + "TYPE numeric(12,2)"},
      {"v bigint, onceflow_source place", SinkMode::kAppend, ColumnType::kInteger,
       "place, a domain over character varying(40)",
       "ALTER TABLE \"rows\" ALTER COLUMN \"onceflow_source\" TYPE character varying(40)"}};
  query(
      "CREATE DOMAIN money2 AS numeric(12,2) CHECK (value >= 0);"
      "CREATE DOMAIN positive AS money2 CHECK (value > 0);"
      "CREATE DOMAIN place AS varchar(40)");
  for (const Refused& each : refused) {
    query("DROP TABLE IF EXISTS rows");
    query("CREATE TABLE rows (" + each.columns + ")");
    auto sink = make(each.mode, each.type);
    const auto claimed = run_to_end(os_, sink->claim({kIn0}));
    ASSERT_FALSE(claimed.has_value()) << each.columns;
    EXPECT_TRUE(claimed.error().text.contains(each.says)) << claimed.error().text;
    ASSERT_TRUE(claimed.error().text.contains(each.fix)) << claimed.error().text;
    query(each.fix);
    query("DROP TABLE IF EXISTS onceflow_positions");
    const Value value =
        each.type == ColumnType::kDecimal ? Value(Decimal{"1.05"}) : Value(std::int64_t{7});
    EXPECT_EQ(write(*sink, {value}).kind, Kind::kCommitted) << each.columns;
    EXPECT_EQ(query("SELECT v FROM rows"), show(value));
  }
  query("DROP TABLE rows");
  query("CREATE TABLE rows (v money2, onceflow_source text)");
  const auto other = run_to_end(os_, make(SinkMode::kAppend, ColumnType::kText)->claim({kIn0}));
  ASSERT_FALSE(other.has_value());
  EXPECT_TRUE(other.error().text.contains("and give the sink's column v `type: decimal`"))
      << other.error().text;
  query("DROP TABLE rows");
  query("DROP DOMAIN positive; DROP DOMAIN money2; DROP DOMAIN place");
  // COPY writes such a column as it writes any other.
  query("CREATE TABLE rows (v bigint GENERATED ALWAYS AS IDENTITY, onceflow_source text)");
  query("DROP TABLE IF EXISTS onceflow_positions");
  EXPECT_EQ(write(*make(SinkMode::kAppend, ColumnType::kInteger), {std::int64_t{41}}).kind,
            Kind::kCommitted);
  EXPECT_EQ(query("SELECT v FROM rows"), "41");
}

TEST_F(PostgresColumns, of_an_upsert_beside_the_key_keep_json_and_jsonb_whole) {
  for (const ColumnType type : {ColumnType::kJson, ColumnType::kJsonb}) {
    query("DROP TABLE IF EXISTS rows");
    query("DROP TABLE IF EXISTS onceflow_positions");
    auto sink = world_->make_sink(os_.environment(),
                                  {"p",
                                   "s",
                                   "rows",
                                   SinkMode::kUpsert,
                                   {{"k", ColumnType::kInteger, true}, {"v", type, false}}});
    const auto claimed = run_to_end(os_, sink->claim({kIn0}));
    ASSERT_TRUE(claimed.has_value()) << claimed.error().text;
    TestCommit batch;
    batch.at(claimed->front(), 4)
        .row(0, {std::int64_t{1}, text(R"({"a": [1, 2.50, null], "ü": "\"\\,{}"})")})
        .row(1, {std::int64_t{2}, text("null")})
        .row(2, {std::int64_t{3}, Value()})
        .row(3, {std::int64_t{1}, text(R"({"a": [2.50], "ü": "\"\\,{}"})")});
    const CommitOutcome outcome = run_to_end(os_, sink->commit(batch.commit));
    ASSERT_EQ(outcome.kind, Kind::kCommitted) << outcome.text;
    EXPECT_EQ(query("SELECT v::text FROM rows WHERE k = 1"), R"({"a": [2.50], "ü": "\"\\,{}"})");
    EXPECT_EQ(query("SELECT v::text FROM rows WHERE k = 2"), "null");
    EXPECT_EQ(query("SELECT (v IS NULL)::int FROM rows WHERE k = 3"), "1");
  }
}

TEST_F(PostgresColumns, of_sink_tables_have_the_types_that_are_asked_for) {
  ASSERT_EQ(write(*make(SinkMode::kUpsert, ColumnType::kBoolean), {std::int64_t{1}}).kind,
            Kind::kCommitted);
  EXPECT_EQ(query("SELECT pg_typeof(v), v FROM rows"), "boolean|t");
}

}  // namespace
}  // namespace onceflow::connectors
