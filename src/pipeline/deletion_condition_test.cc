// What conditions may come to where nobody knows the fields.
#include "pipeline/deletion_condition.h"

#include <gtest/gtest.h>

#include <string>

namespace onceflow::pipeline {
namespace {

using Unknown = DeletionCondition::Unknown;

bool may_hold(std::string_view condition, std::string_view topic, std::string_view key) {
  auto judged = DeletionCondition::prepare(condition, Unknown::kFields);
  EXPECT_TRUE(judged.has_value()) << condition;
  const TopicPartition source{std::string(topic), PartitionIndex(0)};
  engine::Record record{.offset = Offset(7)};
  record.key = as_bytes(key);
  return judged && (*judged)->judge(source, record).may_be_true;
}

TEST(DeletionCondition, may_hold_for_all_where_only_fields_decide) {
  for (const char* const condition :
       {"$.a > 1", "$.a is null", "$.a is not null", "coalesce($.a, 5) between 0 and 9",
        "not $.a > 1", "typeof($.a) = 'text'", "$.a in (1, 2)", "$.a", "$.id = key",
        "iif($.a > 1, 0, 1)", "case $.t when 'x' then 1 else 0 end", "($.a > 1) = 1",
        "ifnull($.a, 0)", "$.a is true", "max($.a, 1)", "$.a like 'b%'"}) {
    EXPECT_TRUE(may_hold(condition, "refunds", "k")) << condition;
  }
}

// Each is true of no record of topic refunds, whatever its fields.
TEST(DeletionCondition, is_false_where_no_fields_make_it_true) {
  for (const char* const condition :
       {"topic = 'orders' and $.a > 1",
        "$.a > 1 and topic = 'orders'",
        "not (topic <> 'orders' or $.a > 1)",
        "$.a > 1 and ($.b = 2 and lower(topic) = 'orders')",
        "(topic = 'orders' and $.a > 1) or (topic = 'sales' and $.a > 2)",
        "case when topic = 'orders' then $.a > 1 else 0 end",
        "case when topic = 'orders' then $.a > 1 end",
        "case topic when 'orders' then $.a > 1 when 'sales' then $.a > 2 else 0 end",
        "iif(topic = 'orders', $.a > 1, 0)",
        "coalesce(topic = 'orders' and $.a > 1, 0)",
        "ifnull(topic = 'orders' and $.a > 1, 0)",
        "(topic = 'orders' and $.a > 1) is true",
        "(topic = 'orders' and $.a > 1) = 1",
        "1 = (topic = 'orders' and $.a > 1)",
        "(topic <> 'orders' or $.a > 1) <> 1",
        "(topic <> 'orders' or $.a > 1) is not true",
        "(topic <> 'orders' or $.a > 1) = 0",
        "(topic <> 'orders' or $.a > 1) is false",
        "(topic = 'orders' and $.a > 1) is not false and topic = 'orders'",
        "nullif(topic, 'refunds') = 'orders' and $.a > 1",
        "(topic = 'orders' and $.a > 1) is null",
        "$.a > 1 and +(topic = 'orders')",
        "topic in ('orders') and $.a > 1",
        "topic like 'ord%' and $.a",
        "key <> 'k' and $.a > 1",
        "offset > 9 and $.a > 1",
        "partition = 1 and $.a > 1",
        "timestamp > 5 and $.a > 1"}) {
    EXPECT_FALSE(may_hold(condition, "refunds", "k")) << condition;
  }
}

// What is compared with null is null, whatever the fields.
TEST(DeletionCondition, is_never_true_of_a_null) {
  for (const char* const condition : {"$.a = null",
                                      "$.a <> null",
                                      "null = $.a",
                                      "$.a != (null)",
                                      "$.a > null",
                                      "not $.a = null",
                                      "$.a not in ('x', null)",
                                      "$.a not in (null)",
                                      "$.a between null and 5",
                                      "$.a between 1 and null",
                                      "$.a like null",
                                      "$.a + null > 5",
                                      "-(null + $.a)",
                                      "$.a = nullif(1, 1)",
                                      "$.b > 1 and $.a = null",
                                      "$.a = null or $.a <> null",
                                      "coalesce($.a = null, 0)",
                                      "iif($.a = null, 1, 0)",
                                      "null in ($.a, 5)",
                                      "($.a || null) = 'x'"}) {
    EXPECT_FALSE(may_hold(condition, "refunds", "k")) << condition;
  }
  for (const char* const condition :
       {"$.a is null", "$.a is not null", "($.a = null) is null", "$.a in (1, null)",
        "$.a not between null and 5", "coalesce($.a, null, 1)", "$.a = null or $.b",
        "not ($.a in (1, null) and $.b)", "$.a is not distinct from null", "$.a not in (1, $.b)",
        "iif($.a = null, 0, 1)", "coalesce($.a = null, 1)", "$.a is null = 1"}) {
    EXPECT_TRUE(may_hold(condition, "refunds", "k")) << condition;
  }
}

TEST(DeletionCondition, of_any_record_what_stands_in_it_alone_decides) {
  const auto may_be_true = [](std::string_view condition) {
    auto judged = DeletionCondition::prepare(condition, Unknown::kRecord);
    EXPECT_TRUE(judged.has_value()) << condition;
    return judged && (*judged)->judge({}, {}).may_be_true;
  };
  for (const char* const condition :
       {"1", "value is null", "value", "key = 'k'", "topic = 'a' or 0", "timestamp > 5 and $.a",
        "partition is not null", "offset <> 7"}) {
    EXPECT_TRUE(may_be_true(condition)) << condition;
  }
  for (const char* const condition : {"0", "false", "null", "1 = 2", "value = null", "key <> null",
                                      "offset > 7 and 1 > 2", "key not in ('a', null)"}) {
    EXPECT_FALSE(may_be_true(condition)) << condition;
  }
}

TEST(DeletionCondition, may_hold_where_the_rest_of_it_is_true) {
  for (const char* const condition :
       {"topic = 'orders' and $.a > 1", "topic <> 'orders' or $.a > 1",
        "case topic when 'orders' then $.a > 1 else 0 end", "iif(topic = 'orders', $.a > 1, 0)",
        "coalesce(topic = 'orders' and $.a > 1, 0)", "(topic = 'orders' and $.a > 1) is not true",
        "(topic = 'orders' and $.a > 1) is null", "iif($.a > 1, topic = 'orders', 0)"}) {
    EXPECT_TRUE(may_hold(condition, "orders", "k")) << condition;
  }
}

// What a field may guard against is met where no field guards.
TEST(DeletionCondition, may_hold_where_it_cannot_be_evaluated) {
  EXPECT_TRUE(may_hold("$.has_json and json_extract(key, '$.id') > 3", "in", "no JSON"));
  EXPECT_TRUE(may_hold("$.has_json and json_extract(key, '$.id') > 3", "in", R"({"id":4})"));
  EXPECT_FALSE(may_hold("$.has_json and json_extract(key, '$.id') > 3", "in", R"({"id":3})"));
}

TEST(DeletionCondition, without_a_record_says_what_all_without_a_value_meet) {
  const auto judge = [](std::string_view condition) {
    const auto [may_be_true, may_be_else] =
        (*DeletionCondition::prepare(condition, Unknown::kOtherParts))->judge({}, {});
    return std::string(may_be_true ? "true" : "") + (may_be_else ? "else" : "");
  };
  for (const char* const condition :
       {"value is not null and $.a > 1", "(value) is not null and $.a > 1", "value not null",
        "null is not value and $.a > 1", "value is distinct from null and $.a > 1",
        "coalesce(value, '') <> '' and $.a > 1", "typeof(value) <> 'null' and key = 'a'",
        "json_valid(value) and $.a > 1", "value ->> 'a' = 1", "$.a > 1"}) {
    EXPECT_EQ(judge(condition), "else") << condition;
  }
  EXPECT_EQ(judge("value is null or $.a > 1"), "true");
  EXPECT_EQ(judge("key = 'a' or value is null"), "true");
  EXPECT_EQ(judge("value is null and key <> 'b'"), "trueelse");
  EXPECT_EQ(judge("topic = 'orders'"), "trueelse");
}

}  // namespace
}  // namespace onceflow::pipeline
