#include "engine/aggregate_table.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <limits>

#include "protocol/definition.h"

namespace onceflow::engine {
namespace {

constexpr std::string_view kDefinition =
    "values 1\nkey origin = $.origin\naggregate low = min($.v)\n";

AggregateSpec all_functions() {
  AggregateSpec spec;
  spec.step = "per-origin";
  spec.changelog_topic = "p-per-origin-changelog";
  spec.key_columns = {"origin"};
  spec.columns = {
      {"n", AggregateFunction::kCount, true},    {"known", AggregateFunction::kCount, false},
      {"total", AggregateFunction::kSum, false}, {"low", AggregateFunction::kMin, false},
      {"high", AggregateFunction::kMax, false},  {"mean", AggregateFunction::kAvg, false}};
  return spec;
}

Status add(AggregateTable& table, std::string_view key, const Value& value) {
  const std::vector<Value> arguments(6, value);
  return table.update(as_bytes(key), arguments);
}

std::vector<std::string> outputs(AggregateTable& table) {
  std::vector<std::string> texts;
  table.for_each_pending(0, table.pending_count(), [&](const AggregateTable::Change& change) {
    if (change.output) {
      texts.emplace_back(as_text(*change.output));
    }
  });
  return texts;
}

TEST(AggregateTable, folds_as_sql_does) {
  const AggregateSpec spec = all_functions();
  AggregateTable table(spec, kDefinition);
  ASSERT_TRUE(add(table, "SEA", std::int64_t{4}));
  ASSERT_TRUE(add(table, "SEA", std::monostate{}));
  ASSERT_TRUE(add(table, "SEA", -1.5));
  ASSERT_TRUE(add(table, "a\"b", std::monostate{}));
  EXPECT_EQ(
      outputs(table),
      (std::vector<std::string>{
          R"({"origin":"SEA","n":3,"known":2,"total":2.5,"low":-1.5,"high":4,"mean":1.25})",
          R"({"origin":"a\"b","n":1,"known":0,"total":null,"low":null,"high":null,"mean":null})"}));
}

TEST(AggregateTable, integers_stay_exact_and_overflow_is_an_error) {
  const AggregateSpec spec = all_functions();
  AggregateTable table(spec, kDefinition);
  // Both are doubles, too, for the mean takes no other integers; their sum is none.
  ASSERT_TRUE(add(table, "k", std::numeric_limits<std::int64_t>::max() - 1023));
  ASSERT_TRUE(add(table, "k", std::int64_t{1023}));
  EXPECT_NE(outputs(table).front().find("\"total\":9223372036854775807"), std::string::npos);
  const Status overflow = add(table, "k", std::int64_t{1});
  ASSERT_FALSE(overflow);
  EXPECT_NE(overflow.error().text.find("column 'total'"), std::string::npos);
}

TEST(AggregateTable, an_infinite_value_is_an_error) {
  const AggregateSpec spec = all_functions();
  AggregateTable table(spec, kDefinition);
  ASSERT_TRUE(add(table, "k", 2.5));
  const Status infinite = add(table, "k", std::numeric_limits<double>::infinity());
  ASSERT_FALSE(infinite);
  EXPECT_NE(infinite.error().text.find("infinite"), std::string::npos);
}

AggregateSpec decimals() {
  AggregateSpec spec = all_functions();
  for (AggregateColumn& column : spec.columns) {
    column.is_decimal = column.function != AggregateFunction::kCount;
  }
  return spec;
}

TEST(AggregateTable, decimals_are_exact_and_restored_as_they_were) {
  const AggregateSpec spec = decimals();
  AggregateTable original(spec, kDefinition);
  AggregateTable restored(spec, kDefinition);
  for (const std::string_view amount : {"0.1", "18446744073709551615", "0.2"}) {
    ASSERT_TRUE(add(original, "k", Decimal{amount}));
  }
  EXPECT_EQ(outputs(original).front(),
            R"({"origin":"k","n":3,"known":3,"total":18446744073709551615.3,"low":0.1,)"
            R"("high":18446744073709551615,"mean":6148914691236517205.1})");
  original.for_each_pending(0, original.pending_count(), [&](const AggregateTable::Change& change) {
    ASSERT_TRUE(restored.restore(change.key, change.state));
  });
  ASSERT_TRUE(add(original, "k", Decimal{"-0.3"}));
  ASSERT_TRUE(add(restored, "k", Decimal{"-0.3"}));
  EXPECT_EQ(outputs(original), outputs(restored));
}

// docs/formats/changelog.md, kind 4: one column, written by hand.
TEST(AggregateTable, a_state_of_decimals_has_the_bytes_of_its_page) {
  AggregateSpec spec = decimals();
  spec.columns = {{.name = "total", .function = AggregateFunction::kSum, .is_decimal = true}};
  AggregateTable table(spec, kDefinition);
  const Value amount = Decimal{"0.5"};
  ASSERT_TRUE(table.update(as_bytes("k"), {&amount, 1}));
  std::string column;
  table.for_each_pending(0, table.pending_count(), [&](const AggregateTable::Change& change) {
    column = std::string(as_text(change.state.last(6)));
  });
  EXPECT_EQ(column, std::string("\x02\x04\x03") + "0.5");
}

TEST(AggregateTable, a_key_that_json_cannot_hold_is_an_error) {
  AggregateSpec spec = all_functions();
  AggregateTable one(spec, kDefinition);
  EXPECT_FALSE(add(one, "k\xff", std::int64_t{1}));
  spec.key_columns = {"from", "to"};
  AggregateTable two(spec, kDefinition);
  for (const std::string_view key : {"k", "[1]", "[1,2,3]", "[1,2", "{\"a\":1}"}) {
    EXPECT_FALSE(add(two, key, std::int64_t{1})) << key;
  }
}

// STG-2.
TEST(AggregateTable, state_moves_only_when_it_is_applied_STG_2) {
  const AggregateSpec spec = all_functions();
  AggregateTable table(spec, kDefinition);
  ASSERT_TRUE(add(table, "k", std::int64_t{1}));
  EXPECT_TRUE(table.apply_pending(table.pending_count()));
  ASSERT_TRUE(add(table, "k", std::int64_t{10}));
  table.drop_pending();
  ASSERT_TRUE(add(table, "k", std::int64_t{100}));
  EXPECT_NE(outputs(table).front().find("\"total\":101"), std::string::npos);
}

TEST(AggregateTable, a_restored_table_goes_on_where_the_changelog_ends) {
  const AggregateSpec spec = all_functions();
  AggregateTable original(spec, kDefinition);
  AggregateTable restored(spec, kDefinition);
  ASSERT_TRUE(add(original, "k", 2.25));
  ASSERT_TRUE(add(original, "l", std::int64_t{3}));
  original.for_each_pending(0, 2, [&](const AggregateTable::Change& change) {
    ASSERT_TRUE(restored.restore(change.key, change.state));
  });
  EXPECT_FALSE(original.apply_pending(1));
  EXPECT_TRUE(original.apply_pending(1));
  EXPECT_EQ(restored.key_count(), 2U);
  for (AggregateTable* table : {&original, &restored}) {
    ASSERT_TRUE(add(*table, "k", std::int64_t{1}));
    ASSERT_TRUE(add(*table, "l", std::int64_t{1}));
  }
  EXPECT_EQ(outputs(original), outputs(restored));
}

// One column of a state as docs/formats/changelog.md draws it.
struct StoredColumn {
  std::int64_t count;
  std::int8_t kind;
};

Buffer stored_state(std::int8_t version, std::uint64_t definition,
                    std::span<const StoredColumn> columns) {
  Buffer bytes;
  WireWriter writer(bytes);
  writer.write_int8(version);
  if (version == 2) {
    writer.write_uint64(definition);
  }
  writer.write_unsigned_varint(columns.size());
  for (const StoredColumn& column : columns) {
    writer.write_varlong(column.count);
    writer.write_int8(column.kind);
    if (column.kind == 1) {
      writer.write_varlong(7);
    } else if (column.kind == 2) {
      writer.write_float64(7.5);
    } else if (column.kind == 3) {
      writer.write_sized_string("seven");
    }
  }
  return bytes;
}

Status restore_one(AggregateFunction function, StoredColumn column) {
  AggregateSpec spec = all_functions();
  spec.columns = {{"x", function, false}};
  AggregateTable table(spec, kDefinition);
  const Status restored = table.restore(as_bytes("k"), stored_state(1, 0, {{column}}));
  if (restored) {
    // Whatever was taken can be worked with: nothing reaches another alternative of a variant.
    std::vector<Value> arguments = {std::int64_t{4}};
    EXPECT_TRUE(table.update(as_bytes("k"), arguments));
    outputs(table);
  }
  return restored;
}

TEST(AggregateTable, a_state_of_another_definition_is_refused_by_name_STG_2) {
  AggregateSpec spec = all_functions();
  AggregateTable original(spec, kDefinition);
  ASSERT_TRUE(add(original, "k", std::int64_t{1}));
  Buffer bytes;
  original.for_each_pending(0, original.pending_count(), [&](const AggregateTable::Change& change) {
    const ByteView state = change.state;
    bytes.assign(state.begin(), state.end());
  });
  EXPECT_TRUE(AggregateTable(spec, kDefinition).restore(as_bytes("k"), bytes));
  AggregateTable table(spec, "values 1\nkey origin = $.origin\naggregate low = max($.v)\n");
  const Status restored = table.restore(as_bytes("k"), bytes);
  ASSERT_FALSE(restored);
  EXPECT_EQ(restored.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(restored.error().text.find("key 'k' of step 'per-origin'"), std::string::npos);
  EXPECT_NE(restored.error().text.find("aggregate low = max($.v)"), std::string::npos);
  EXPECT_EQ(table.key_count(), 0U);
}

TEST(AggregateTable, a_state_of_an_accepted_definition_is_gone_on_with_STG_2) {
  const AggregateSpec spec = all_functions();
  AggregateTable original(spec, kDefinition);
  ASSERT_TRUE(add(original, "k", std::int64_t{1}));
  Buffer bytes;
  original.for_each_pending(0, original.pending_count(), [&](const AggregateTable::Change& change) {
    bytes.assign(change.state.begin(), change.state.end());
  });
  const std::string now = "where $.v > 0\n" + std::string(kDefinition);
  const std::vector<std::uint64_t> others = {7, 8};
  EXPECT_FALSE(AggregateTable(spec, now, others).restore(as_bytes("k"), bytes));
  const std::vector<std::uint64_t> accepted = {7, protocol::definition_hash(kDefinition)};
  AggregateTable table(spec, now, accepted);
  ASSERT_TRUE(table.restore(as_bytes("k"), bytes));
  EXPECT_EQ(table.key_count(), 1U);
  // What it writes is its own.
  ASSERT_TRUE(add(table, "k", std::int64_t{1}));
  Buffer written;
  table.for_each_pending(0, table.pending_count(), [&](const AggregateTable::Change& change) {
    written.assign(change.state.begin(), change.state.end());
  });
  EXPECT_TRUE(AggregateTable(spec, now).restore(as_bytes("k"), written));
  EXPECT_FALSE(AggregateTable(spec, kDefinition).restore(as_bytes("k"), written));
}

TEST(AggregateTable, a_sum_goes_on_by_digits_with_what_it_has_come_to_STG_2) {
  const auto sum_of = [](bool is_decimal) {
    AggregateSpec spec;
    spec.step = "by";
    spec.key_columns = {"k"};
    spec.columns = {{"s", AggregateFunction::kSum, false}};
    spec.columns.front().is_decimal = is_decimal;
    return spec;
  };
  const AggregateSpec plain = sum_of(false);
  const AggregateSpec exact = sum_of(true);
  const std::string now = std::string(kDefinition) + "decimal\n";
  const std::vector<std::uint64_t> accepted = {protocol::definition_hash(kDefinition)};
  const std::vector<std::pair<Value, std::string>> sums = {
      {std::int64_t{9007199254740993}, R"({"k":"a","s":9007199254740993.5})"},
      {0.30000000000000004, R"({"k":"a","s":0.80000000000000004})"},
      {1e30, R"({"k":"a","s":1000000000000000000000000000000.5})"},
      {std::monostate{}, R"({"k":"a","s":0.5})"}};
  for (const auto& [before, after] : sums) {
    AggregateTable original(plain, kDefinition);
    ASSERT_TRUE(original.update(as_bytes("a"), std::vector<Value>{before}));
    Buffer bytes;
    original.for_each_pending(0, 1, [&](const AggregateTable::Change& change) {
      bytes.assign(change.state.begin(), change.state.end());
    });
    AggregateTable table(exact, now, accepted);
    ASSERT_TRUE(table.restore(as_bytes("a"), bytes));
    ASSERT_TRUE(table.update(as_bytes("a"), std::vector<Value>{Decimal{"0.5"}}));
    EXPECT_EQ(outputs(table), std::vector<std::string>{after});
  }
}

TEST(AggregateTable, a_state_without_a_definition_must_have_the_shape_of_the_step_STG_2) {
  using enum AggregateFunction;
  const std::int8_t nothing = 0;
  const std::int8_t integer = 1;
  const std::int8_t real = 2;
  const std::int8_t text = 3;
  for (const auto function : {kCount, kSum, kMin, kMax, kAvg}) {
    EXPECT_TRUE(restore_one(function, {0, nothing}));
    for (const std::int8_t kind : {integer, real, text}) {
      EXPECT_FALSE(restore_one(function, {0, kind}));
    }
    EXPECT_FALSE(restore_one(function, {-1, nothing}));
    EXPECT_FALSE(restore_one(function, {3, 9}));
  }
  EXPECT_TRUE(restore_one(kCount, {3, nothing}));
  EXPECT_FALSE(restore_one(kCount, {3, integer}));
  for (const auto function : {kSum, kMin, kMax, kAvg}) {
    EXPECT_FALSE(restore_one(function, {3, nothing}));
    EXPECT_TRUE(restore_one(function, {3, integer}));
    EXPECT_TRUE(restore_one(function, {3, real}));
  }
  for (const auto function : {kMin, kMax}) {
    EXPECT_TRUE(restore_one(function, {3, text}));
  }
  for (const auto function : {kSum, kAvg}) {
    EXPECT_FALSE(restore_one(function, {3, text}));
  }
}

TEST(AggregateTable, a_state_with_more_or_fewer_columns_is_refused) {
  const AggregateSpec spec = all_functions();
  const std::vector<StoredColumn> two = {{1, 0}, {1, 0}};
  const std::vector<StoredColumn> seven(7, {1, 0});
  for (const auto& columns : {two, seven}) {
    AggregateTable table(spec, kDefinition);
    const Status restored = table.restore(as_bytes("k"), stored_state(1, 0, columns));
    ASSERT_FALSE(restored);
    EXPECT_EQ(restored.error().code, ErrorCode::kInvalidArgument);
  }
  AggregateTable table(spec, kDefinition);
  EXPECT_EQ(table.restore(as_bytes("k"), stored_state(3, 0, two)).error().code,
            ErrorCode::kCorrupt);
}

TEST(AggregateTable, golden_bytes_of_a_state) {
  AggregateSpec spec = all_functions();
  spec.columns = {{"n", AggregateFunction::kCount, true}, {"s", AggregateFunction::kSum, false}};
  AggregateTable table(spec, kDefinition);
  const std::vector<Value> arguments = {std::monostate{}, std::int64_t{5}};
  ASSERT_TRUE(table.update(as_bytes("k"), arguments));
  table.for_each_pending(0, table.pending_count(), [&](const AggregateTable::Change& change) {
    const ByteView state = change.state;
    std::string hex;
    for (const std::byte byte : state) {
      constexpr std::string_view kDigits = "0123456789abcdef";
      hex += kDigits[std::to_integer<std::size_t>(byte) >> 4];
      hex += kDigits[std::to_integer<std::size_t>(byte) & 15];
    }
    EXPECT_EQ(hex, fmt::format("02{:016x}02020002010a", protocol::definition_hash(kDefinition)));
  });
}

TEST(AggregateTable, a_key_is_written_only_if_its_result_has_changed) {
  AggregateSpec spec = all_functions();
  spec.columns = {{"low", AggregateFunction::kMin, false}};
  AggregateTable table(spec, kDefinition);
  const auto commit = [&](const Value& value) {
    const std::vector<Value> arguments = {value};
    EXPECT_TRUE(table.update(as_bytes("k"), arguments));
    const std::size_t count = outputs(table).size();
    std::size_t states = 0;
    table.for_each_pending(0, table.pending_count(),
                           [&](const AggregateTable::Change&) { ++states; });
    EXPECT_TRUE(table.apply_pending(table.pending_count()));
    return std::pair(count, states);
  };
  EXPECT_EQ(commit(std::monostate{}), std::pair(std::size_t{1}, std::size_t{1}));  // a new key
  EXPECT_EQ(commit(std::monostate{}), std::pair(std::size_t{0}, std::size_t{0}));
  EXPECT_EQ(commit(std::int64_t{3}), std::pair(std::size_t{1}, std::size_t{1}));
  EXPECT_EQ(commit(std::int64_t{3}), std::pair(std::size_t{0}, std::size_t{1}));
  EXPECT_EQ(commit(std::int64_t{4}), std::pair(std::size_t{0}, std::size_t{1}));
  EXPECT_EQ(commit(0.0), std::pair(std::size_t{1}, std::size_t{1}));
  EXPECT_EQ(commit(std::int64_t{1}), std::pair(std::size_t{0}, std::size_t{1}));
  EXPECT_EQ(commit(-0.5), std::pair(std::size_t{1}, std::size_t{1}));
}

TEST(AggregateTable, several_key_columns_are_members_of_the_output) {
  AggregateSpec spec = all_functions();
  spec.key_columns = {"from", "to"};
  spec.columns.resize(1);
  AggregateTable table(spec, kDefinition);
  const std::vector<Value> arguments(1);
  ASSERT_TRUE(table.update(as_bytes(R"(["S,EA",12])"), arguments));
  ASSERT_TRUE(table.update(as_bytes(R"([["a","],"],{"q\"":[1]}])"), arguments));
  EXPECT_EQ(outputs(table),
            (std::vector<std::string>{R"({"from":"S,EA","to":12,"n":1})",
                                      R"({"from":["a","],"],"to":{"q\"":[1]},"n":1})"}));
}

}  // namespace
}  // namespace onceflow::engine
