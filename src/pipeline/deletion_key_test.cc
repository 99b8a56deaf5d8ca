// Which parts of a key tell the row of a record without a value.
#include "pipeline/deletion_key.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "pipeline/expression.h"

namespace onceflow::pipeline {
namespace {

using Unknown = DeletionCondition::Unknown;

std::vector<Expression> checked(const std::vector<std::string>& parts) {
  std::vector<Expression> key;
  for (const std::string& part : parts) {
    auto expression = check_expression(part);
    EXPECT_TRUE(expression.has_value()) << part;
    key.push_back(std::move(*expression));
  }
  return key;
}

DeletionKey::Outcomes of_record(const std::vector<std::string>& parts, std::string_view topic,
                                std::string_view key) {
  auto told = DeletionKey::prepare(checked(parts), Unknown::kNothing);
  EXPECT_TRUE(told.has_value());
  engine::Record record{.offset = Offset(7)};
  record.key = as_bytes(key);
  return told->judge({std::string(topic), PartitionIndex(0)}, record);
}

bool tells(std::string_view part, std::string_view topic = "orders", std::string_view key = "7") {
  return !of_record({std::string(part)}, topic, key).may_be_lost;
}

DeletionKey::Outcomes of_all(const std::vector<std::string>& parts) {
  auto told = DeletionKey::prepare(checked(parts), Unknown::kOtherParts);
  EXPECT_TRUE(told.has_value());
  return told->judge({}, {});
}

bool may_not_tell(std::string_view part) {
  return of_all({std::string(part)}).may_be_lost.has_value();
}

TEST(DeletionKey, tells_by_what_reads_no_field) {
  for (const char* const part : {"key", "lower(key)", "coalesce(key, 'none')", "key ->> '$.id'",
                                 "topic || '/' || key", "case key when 'a' then 'b' else key end",
                                 "cast(key as integer)", "coalesce(key, topic)"}) {
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

TEST(DeletionKey, does_not_tell_by_what_is_not_the_key) {
  for (const char* const part :
       {"topic", "partition", "'all'", "timestamp / 10", "offset", "topic || ':' || offset",
        "key || offset", "key || date(timestamp / 1000, 'unixepoch')", "key like 'eu-%'",
        "iif(key like 'eu-%', 'eu', 'us')", "coalesce($.r, iif(key like 'eu-%', 'eu', 'us'))",
        "case when value is null then key else key || timestamp end",
        "coalesce($.id || offset, key)", "iif(offset > 5, key, lower(key))",
        "case when $.r is null then key = '7' else $.r end"}) {
    EXPECT_FALSE(tells(part)) << part;
    EXPECT_TRUE(may_not_tell(part)) << part;
    EXPECT_FALSE(of_all({part}).may_be_told) << part;
  }
  EXPECT_TRUE(tells("coalesce(key, offset)"));
  EXPECT_TRUE(may_not_tell("coalesce(key, offset)"));
}

TEST(DeletionKey, tells_by_the_key_beside_what_is_the_same_for_its_records) {
  using Key = std::vector<std::string>;
  for (const Key& key :
       {Key{"topic", "key"}, Key{"key", "partition"}, Key{"'x'", "coalesce($.id, key)"},
        Key{"key", "iif(key like 'eu-%', 'eu', 'us')"}, Key{"key", "upper(key)"},
        Key{"coalesce($.id, key ->> '$.id')", "coalesce($.r, key ->> '$.r')"},
        Key{"coalesce($.id, key)", "coalesce($.id, key)"}}) {
    EXPECT_FALSE(of_record(key, "orders", R"({"id":7,"r":8})").may_be_lost) << key[0] << key[1];
    EXPECT_FALSE(of_all(key).may_be_lost) << key[0] << key[1];
  }
  const auto why = [](const Key& key) {
    const auto lost = of_record(key, "orders", "7").may_be_lost;
    return lost ? std::optional(lost->why) : std::nullopt;
  };
  EXPECT_EQ(why({"topic", "partition"}), DeletionKey::Why::kNoPart);
  EXPECT_EQ(why({"key", "timestamp / 10"}), DeletionKey::Why::kPart);
  EXPECT_EQ(why({"key", "offset"}), DeletionKey::Why::kPart);
  EXPECT_EQ(why({"key", "coalesce($.r, 'none')"}), DeletionKey::Why::kPart);
  EXPECT_EQ(why({"key", "coalesce($.r, key)"}), DeletionKey::Why::kSamePart);
  EXPECT_EQ(why({"coalesce($.a, key)", "coalesce($.b, key ->> '$')"}), DeletionKey::Why::kSamePart);
  EXPECT_EQ(why({"key", "case when value is null then key else coalesce($.r, 'none') end"}),
            DeletionKey::Why::kSamePart);
}

TEST(DeletionKey, is_judged_by_the_record) {
  const char* const part = "case topic when 'orders' then key else $.id end";
  EXPECT_TRUE(tells(part, "orders"));
  EXPECT_FALSE(tells(part, "refunds"));
  EXPECT_TRUE(may_not_tell(part));
}

TEST(DeletionKey, is_spelled_so_that_it_tells) {
  EXPECT_EQ(told_by_key("$.id", ColumnType::kText), "coalesce($.id, key)");
  EXPECT_EQ(told_by_key("coalesce($.a, 'user') || ':' || key", ColumnType::kText), "key");
  EXPECT_EQ(told_by_member_of_key("coalesce($.r, 'none')"), "coalesce($.r, key ->> '$.r')");
  EXPECT_EQ(told_by_member_of_key("$.\"it's\""), "coalesce($.\"it's\", key ->> '$.\"it''s\"')");
  EXPECT_EQ(told_by_member_of_key("$.a || 'x'"), std::nullopt);
  for (const auto type : {ColumnType::kText, ColumnType::kInteger}) {
    for (const char* const part :
         {"$.id", "coalesce($.id, 'none')", "$.a || 'x'", "coalesce($.a, 'user') || ':' || key",
          "offset", "'all'", "$.a || offset"}) {
      EXPECT_TRUE(tells(told_by_key(part, type))) << told_by_key(part, type);
      EXPECT_FALSE(may_not_tell(told_by_key(part, type))) << told_by_key(part, type);
    }
  }
}

}  // namespace
}  // namespace onceflow::pipeline
