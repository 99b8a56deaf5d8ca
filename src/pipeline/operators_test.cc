// Operators and projections over chunks.
#include "pipeline/operators.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace onceflow::pipeline {
namespace {

Expression expression(std::string_view text) { return *check_expression(text); }

engine::Chunk chunk_of(const std::vector<std::string>& values) {
  engine::Chunk chunk;
  chunk.source = {"orders", PartitionIndex(0)};
  for (const std::string& value : values) {
    engine::Record record{.offset = Offset(static_cast<std::int64_t>(chunk.records.size()))};
    record.value = chunk.arena.copy(as_bytes(value));
    chunk.records.push_back(record);
  }
  return chunk;
}

std::vector<std::int64_t> offsets(const engine::Chunk& chunk) {
  std::vector<std::int64_t> result;
  for (const engine::Record& record : chunk.records) {
    result.push_back(record.offset.value);
  }
  return result;
}

TEST(Where, keeps_true_and_drops_false_and_null) {
  engine::Chunk chunk = chunk_of({R"({"a":1})", R"({"a":200})", "{}", R"({"a":300})"});
  auto where = *make_where("big", expression("$.a > 100"))();
  ASSERT_TRUE(where->process(chunk).has_value());
  EXPECT_EQ(offsets(chunk), (std::vector<std::int64_t>{1, 3}));
}

TEST(Where, names_the_record_that_cannot_be_read) {
  engine::Chunk chunk = chunk_of({R"({"a":1})", "{\"a\":"});
  auto where = *make_where("big", expression("$.a > 100"))();
  const Status status = where->process(chunk);
  ASSERT_FALSE(status.has_value());
  EXPECT_TRUE(
      status.error().text.starts_with("step big, record orders/0@1: malformed JSON at byte 5: "))
      << status.error().text;
}

TEST(Set, sets_fields_and_keeps_the_others) {
  engine::Chunk chunk = chunk_of({R"({"id":9007199254740993,"a":2,"b":{"c":1}})"});
  auto set = *make_set("shape", {{"$.a", expression("$.a * 10")},
                                 {"$.b.d", expression("'it''s'")},
                                 {"$.list", expression("json_array($.a, 'x')")}})();
  ASSERT_TRUE(set->process(chunk).has_value());
  EXPECT_EQ(as_text(*chunk.records[0].value),
            R"({"id":9007199254740993,"a":20,"b":{"c":1,"d":"it's"},"list":[2,"x"]})");
}

std::string nested(std::size_t depth) {
  return std::string(depth, '[') + "1" + std::string(depth, ']');
}

TEST(Set, makes_no_json_that_is_not_read) {
  for (const auto& [depth, is_taken] : {std::pair{1997, true}, {1998, false}}) {
    engine::Chunk chunk = chunk_of({"{\"x\":" + nested(static_cast<std::size_t>(depth)) + "}"});
    auto set = *make_set("s", {{"$.y", expression("json_array(json_array($.x))")}})();
    const Status done = set->process(chunk);
    EXPECT_EQ(done.has_value(), is_taken) << depth;
    EXPECT_TRUE(done || done.error().text.contains(
                            "its value would not be JSON: nesting deeper than 2,000"));
  }
}

TEST(Key, makes_no_json_that_is_not_read) {
  for (const auto& [depth, is_taken] : {std::pair{1997, true}, {1998, false}}) {
    engine::Chunk chunk = chunk_of({"{\"x\":" + nested(static_cast<std::size_t>(depth)) + "}"});
    auto key = *make_key("k", {expression("json_array(json_array($.x))"), expression("1")},
                         NullKey::kRefused)();
    const Status done = key->process(chunk);
    EXPECT_EQ(done.has_value(), is_taken) << depth;
    EXPECT_TRUE(done ||
                done.error().text.contains("its key would not be JSON: nesting deeper than 2,000"));
  }
}

TEST(Set, leaves_a_null_value_and_refuses_what_is_no_object) {
  engine::Chunk chunk = chunk_of({"[1]"});
  auto set = *make_set("shape", {{"$.a", expression("1")}})();
  const Status status = set->process(chunk);
  ASSERT_FALSE(status.has_value());
  EXPECT_TRUE(status.error().text.contains("not an object")) << status.error().text;
  chunk.records[0].value.reset();
  EXPECT_TRUE(set->process(chunk).has_value());
  EXPECT_FALSE(chunk.records[0].value.has_value());
}

TEST(Set, refuses_an_infinite_field_and_keeps_the_word) {
  auto set = *make_set("shape", {{"$.x", expression("$.a * 10.0")}})();
  engine::Chunk good = chunk_of({R"({"a":1,"Inf":"a \"\\: Inf"})"});
  ASSERT_TRUE(set->process(good).has_value());
  EXPECT_EQ(as_text(*good.records[0].value), R"({"a":1,"Inf":"a \"\\: Inf","x":10.0})");
  engine::Chunk bad = chunk_of({R"({"a":1e308})"});
  const Status status = set->process(bad);
  ASSERT_FALSE(status.has_value());
  EXPECT_TRUE(status.error().text.contains("a field would be infinite")) << status.error().text;
}

TEST(Key, one_is_its_text_and_several_are_a_json_array) {
  engine::Chunk chunk = chunk_of({R"({"r":"eu","n":5})", R"({"r":"us","n":6})"});
  auto one = *make_key("k", {expression("$.n")}, NullKey::kAllowed)();
  ASSERT_TRUE(one->process(chunk).has_value());
  EXPECT_EQ(as_text(*chunk.records[0].key), "5");
  auto text = *make_key("k", {expression("$.r")}, NullKey::kAllowed)();
  ASSERT_TRUE(text->process(chunk).has_value());
  EXPECT_EQ(as_text(*chunk.records[0].key), "eu");
  EXPECT_EQ(as_text(*chunk.records[1].key), "us");
  auto two = *make_key("k", {expression("$.r"), expression("$.n")}, NullKey::kAllowed)();
  ASSERT_TRUE(two->process(chunk).has_value());
  EXPECT_EQ(as_text(*chunk.records[1].key), R"(["us",6])");
}

TEST(Key, a_null_key_is_no_key_or_refused) {
  engine::Chunk chunk = chunk_of({"{}"});
  chunk.records[0].key = as_bytes("old");
  auto allowed = *make_key("k", {expression("$.r")}, NullKey::kAllowed)();
  ASSERT_TRUE(allowed->process(chunk).has_value());
  EXPECT_FALSE(chunk.records[0].key.has_value());
  auto refused = *make_key("k", {expression("$.r")}, NullKey::kRefused)();
  EXPECT_FALSE(refused->process(chunk).has_value());
}

TEST(Projection, values_fit_their_columns) {
  engine::Chunk chunk = chunk_of({R"({"n":5,"s":"x","r":1.5})", R"({"n":6,"s":7,"r":2})"});
  auto projection = *make_projection("out", {{"n", expression("$.n"), ColumnType::kInteger},
                                             {"s", expression("$.s"), ColumnType::kText},
                                             {"r", expression("$.r"), ColumnType::kReal}})();
  std::vector<Value> values;
  ASSERT_TRUE(projection->evaluate(chunk, values).has_value());
  const std::vector<Value> expected = {std::int64_t{5}, std::string_view("x"), 1.5,
                                       std::int64_t{6}, std::string_view("7"), 2.0};
  EXPECT_EQ(values, expected);
}

TEST(Projection, a_value_that_does_not_fit_is_refused_by_name) {
  engine::Chunk chunk = chunk_of({R"({"n":5.5})"});
  auto projection = *make_projection("out", {{"n", expression("$.n"), ColumnType::kInteger}})();
  std::vector<Value> values;
  const Status status = projection->evaluate(chunk, values);
  ASSERT_FALSE(status.has_value());
  EXPECT_TRUE(status.error().text.starts_with(
      "step out, record orders/0@0: column n is integer but got the real 5.5; "))
      << status.error().text;
}

TEST(Projection, a_key_column_of_text_takes_text_alone) {
  const auto outcome = [](const std::string& value, std::string_view text) {
    engine::Chunk chunk = chunk_of({value});
    auto projection = *make_projection("out", {{.name = "k",
                                                .expression = expression(text),
                                                .type = ColumnType::kText,
                                                .is_key = true}})();
    std::vector<Value> values;
    const Status status = projection->evaluate(chunk, values);
    return status ? "taken" : status.error().text;
  };
  for (const std::string value : {"7", "true", "1.5", "[7]", R"({"a":1})", "1e400"}) {
    EXPECT_TRUE(
        outcome("{\"x\":" + value + "}", "$.x").contains("key column k is text but got the "))
        << value;
    EXPECT_EQ(outcome("{\"x\":" + value + "}", "cast($.x as text)"), "taken") << value;
  }
  EXPECT_EQ(outcome(R"({"x":"7"})", "$.x"), "taken");
  EXPECT_EQ(outcome(R"({"x":"[7]"})", "$.x"), "taken");
  EXPECT_TRUE(outcome("{}", "$.x")
                  .contains("key column k would be null; the rule: a row is found by its key, and "
                            "null is equal to nothing; the fix: give it a value: write `k: "
                            "\"coalesce($.x, 'none')\"`"));
  EXPECT_TRUE(outcome(R"({"x":7})", "$.x")
                  .contains("write `k: cast($.x as text)` where both are one, or start over "
                            "(onceflow reset) with the column of `type: integer`"));
}

TEST(Projection, a_text_is_converted_where_it_is_exactly_a_value) {
  const auto said = [](ColumnType type, const std::string& value) {
    engine::Chunk chunk = chunk_of({"{\"x\":" + value + "}"});
    auto projection = *make_projection("out", {{"c", expression("$.x"), type}})();
    std::vector<Value> values;
    const Status status = projection->evaluate(chunk, values);
    return status ? "taken" : status.error().text;
  };
  EXPECT_TRUE(said(ColumnType::kBoolean, R"("True")")
                  .contains("case $.x when 'True' then 1 when 'False' then 0 else $.x end"));
  EXPECT_TRUE(said(ColumnType::kInteger, R"("12")")
                  .contains("iif(cast($.x as integer) = $.x, cast($.x as integer), $.x)"));
  const std::vector<std::pair<ColumnType, std::string>> others = {
      {ColumnType::kBoolean, R"("maybe")"}, {ColumnType::kBoolean, "2"},
      {ColumnType::kInteger, R"("12.5")"},  {ColumnType::kInteger, R"("1e3")"},
      {ColumnType::kInteger, "1.5"},        {ColumnType::kInteger, R"("9223372036854775808")"},
      {ColumnType::kReal, R"("1.234,50")"}, {ColumnType::kReal, R"("1e400")"},
      {ColumnType::kReal, R"("inf")"},      {ColumnType::kDecimal, R"("1.234,50")"}};
  for (const auto& [type, value] : others) {
    const std::string text = said(type, value);
    EXPECT_TRUE(text.contains("- { id: known, where: ") && !text.contains("write `value: "))
        << text;
  }
}

TEST(Projection, an_argument_that_is_no_number_is_kept_out_and_no_type_helps) {
  const ProjectedColumn argument = {.name = "s",
                                    .expression = expression("$.a"),
                                    .type = ColumnType::kDecimal,
                                    .is_argument = true};
  engine::Arena arena;
  const auto fitted = fit_column(argument, Value(std::string_view("x")), arena);
  ASSERT_FALSE(fitted.has_value());
  EXPECT_FALSE(fitted.error().fix.contains("type:")) << fitted.error().fix;
  EXPECT_TRUE(fitted.error().fix.contains("where: \"$.a is not 'x'\"")) << fitted.error().fix;
}

TEST(Projection, a_column_is_told_with_its_own_expression_and_type) {
  const auto fix = [](const char* text, ColumnType type, std::string_view value) {
    engine::Arena arena;
    const ProjectedColumn column = {.name = "c",
                                    .expression = expression(text),
                                    .type = type,
                                    .text_rule = TextRule::kUtf8WithoutZero};
    const auto fitted = fit_column(column, Value(value), arena);
    return fitted ? std::string() : fitted.error().fix;
  };
  EXPECT_TRUE(fix("$.at", ColumnType::kTimestamptz, "2024-02-29T12:30:00")
                  .contains("`c: { value: $.at || 'Z', type: timestamptz }`"));
  EXPECT_FALSE(fix("$.a + 1", ColumnType::kTimestamptz, "7").contains("1000.0"));  // of a text
  EXPECT_TRUE(fix("$.at", ColumnType::kDate, "2024-02-29T12:30:00")
                  .contains("coalesce(date($.at), $.at), $.at)\", type: date }`"));
  EXPECT_TRUE(fix("$.s", ColumnType::kText, std::string_view("a\0b", 3))
                  .contains("`c: \"replace($.s, char(0), '')\"`"));
  EXPECT_TRUE(fix("$.s", ColumnType::kText, "a\xff").contains("`c: hex($.s)`"));
}

}  // namespace
}  // namespace onceflow::pipeline
