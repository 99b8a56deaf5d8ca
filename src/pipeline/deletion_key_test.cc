// Which parts of a key tell the row of a record without a value.
#include "pipeline/deletion_key.h"

#include <gtest/gtest.h>

#include <string>

#include "pipeline/expression.h"

namespace onceflow::pipeline {
namespace {

using Unknown = DeletionCondition::Unknown;

bool tells(std::string_view part, std::string_view topic = "orders", std::string_view key = "7") {
  EXPECT_TRUE(check_expression(part).has_value()) << part;
  auto told = prepare_told_by_key(part, Unknown::kNothing);
  EXPECT_TRUE(told.has_value()) << part;
  engine::Record record{.offset = Offset(7)};
  record.key = as_bytes(key);
  return !*told || !(*told)->judge({std::string(topic), PartitionIndex(0)}, record).may_be_else;
}

bool may_not_tell(std::string_view part) {
  auto told = prepare_told_by_key(part, Unknown::kOtherParts);
  return *told && (*told)->judge({}, {}).may_be_else;
}

TEST(DeletionKey, tells_by_what_reads_no_field) {
  for (const char* const part : {"key", "topic", "'none'", "lower(key)", "coalesce(key, 'none')",
                                 "key ->> '$.id'", "case key when 'a' then 'b' else topic end"}) {
    EXPECT_TRUE(tells(part)) << part;
    EXPECT_FALSE(may_not_tell(part)) << part;
  }
}

TEST(DeletionKey, tells_where_fields_give_way_to_the_key) {
  for (const char* const part :
       {"coalesce($.id, key)", "ifnull($.id, key)", "coalesce($.a, $.b, lower(key))",
        "coalesce(value, key)", "iif($.id is null, cast(key as integer), $.id)",
        "case when value is null then key else $.id end", "lower(coalesce($.id, key))",
        "coalesce($.id, key ->> '$.id', key ->> '$.ID')", "'p-' || coalesce($.id, key)",
        "case $.kind when 'x' then $.id else key end", "coalesce(json_extract(value, '$.id'), key)",
        "cast(coalesce($.id, key) as text)", "iif(json_valid(value), $.id, key)"}) {
    EXPECT_TRUE(tells(part)) << part;
    EXPECT_FALSE(may_not_tell(part)) << part;
  }
}

TEST(DeletionKey, does_not_tell_where_fields_are_what_it_is) {
  for (const char* const part :
       {"$.id", "value", "coalesce($.id, 'none')", "ifnull($.id, 0)", "coalesce($.id, topic)",
        "$.tenant || key", "coalesce($.tenant, 'x') || ':' || key", "typeof($.id)", "$.a is null",
        "case when $.id is null then 'none' else key end", "printf('%s-%s', key, $.a)",
        "iif($.id is null, offset, $.id)", "case $.id when 1 then key end", "key in ($.a, $.b)",
        "case when key = 'a' then $.id end", "coalesce($.a, $.b)", "nullif($.id, key)",
        "coalesce(coalesce($.id, 'none'), key)"}) {
    EXPECT_FALSE(tells(part)) << part;
    EXPECT_TRUE(may_not_tell(part)) << part;
  }
}

TEST(DeletionKey, is_judged_by_the_record) {
  const char* const part = "case topic when 'orders' then key else $.id end";
  EXPECT_TRUE(tells(part, "orders"));
  EXPECT_FALSE(tells(part, "refunds"));
  EXPECT_TRUE(may_not_tell(part));
}

TEST(DeletionKey, is_spelled_so_that_it_tells) {
  EXPECT_EQ(told_by_key("$.id", ColumnType::kText), "coalesce($.id, key)");
  for (const auto type : {ColumnType::kText, ColumnType::kInteger}) {
    for (const char* const part : {"$.id", "coalesce($.id, 'none')", "$.a || 'x'"}) {
      EXPECT_TRUE(tells(told_by_key(part, type))) << told_by_key(part, type);
      EXPECT_FALSE(may_not_tell(told_by_key(part, type))) << told_by_key(part, type);
    }
  }
}

}  // namespace
}  // namespace onceflow::pipeline
