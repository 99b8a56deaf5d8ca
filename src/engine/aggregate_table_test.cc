#include "engine/aggregate_table.h"

#include <gtest/gtest.h>

#include <limits>

namespace onceflow::engine {
namespace {

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
    texts.emplace_back(as_text(change.output));
  });
  return texts;
}

TEST(AggregateTable, folds_as_sql_does) {
  const AggregateSpec spec = all_functions();
  AggregateTable table(spec);
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
  AggregateTable table(spec);
  ASSERT_TRUE(add(table, "k", std::numeric_limits<std::int64_t>::max() - 1));
  ASSERT_TRUE(add(table, "k", std::int64_t{1}));
  EXPECT_NE(outputs(table).front().find("\"total\":9223372036854775807"), std::string::npos);
  const Status overflow = add(table, "k", std::int64_t{1});
  ASSERT_FALSE(overflow);
  EXPECT_NE(overflow.error().text.find("column 'total'"), std::string::npos);
}

TEST(AggregateTable, an_infinite_value_is_an_error) {
  const AggregateSpec spec = all_functions();
  AggregateTable table(spec);
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
  AggregateTable original(spec);
  AggregateTable restored(spec);
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
  AggregateTable table(spec);
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
  AggregateTable one(spec);
  EXPECT_FALSE(add(one, "k\xff", std::int64_t{1}));
  spec.key_columns = {"from", "to"};
  AggregateTable two(spec);
  for (const std::string_view key : {"k", "[1]", "[1,2,3]", "[1,2", "{\"a\":1}"}) {
    EXPECT_FALSE(add(two, key, std::int64_t{1})) << key;
  }
}

// STG-2.
TEST(AggregateTable, state_moves_only_when_it_is_applied_STG_2) {
  const AggregateSpec spec = all_functions();
  AggregateTable table(spec);
  ASSERT_TRUE(add(table, "k", std::int64_t{1}));
  EXPECT_TRUE(table.apply_pending(table.pending_count()));
  ASSERT_TRUE(add(table, "k", std::int64_t{10}));
  table.drop_pending();
  ASSERT_TRUE(add(table, "k", std::int64_t{100}));
  EXPECT_NE(outputs(table).front().find("\"total\":101"), std::string::npos);
}

TEST(AggregateTable, a_restored_table_goes_on_where_the_changelog_ends) {
  const AggregateSpec spec = all_functions();
  AggregateTable original(spec);
  AggregateTable restored(spec);
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

TEST(AggregateTable, a_changelog_of_another_shape_is_refused_with_the_fix) {
  const AggregateSpec spec = all_functions();
  AggregateTable table(spec);
  Buffer state;
  WireWriter writer(state);
  writer.write_int8(1);
  writer.write_unsigned_varint(2);
  const Status restored = table.restore(as_bytes("k"), state);
  ASSERT_FALSE(restored);
  EXPECT_NE(restored.error().text.find("give the step a new id"), std::string::npos);
}

TEST(AggregateTable, several_key_columns_are_members_of_the_output) {
  AggregateSpec spec = all_functions();
  spec.key_columns = {"from", "to"};
  spec.columns.resize(1);
  AggregateTable table(spec);
  const std::vector<Value> arguments(1);
  ASSERT_TRUE(table.update(as_bytes(R"(["S,EA",12])"), arguments));
  ASSERT_TRUE(table.update(as_bytes(R"([["a","],"],{"q\"":[1]}])"), arguments));
  EXPECT_EQ(outputs(table),
            (std::vector<std::string>{R"({"from":"S,EA","to":12,"n":1})",
                                      R"({"from":["a","],"],"to":{"q\"":[1]},"n":1})"}));
}

}  // namespace
}  // namespace onceflow::engine
