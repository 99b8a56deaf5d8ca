#include "base/typed_text.h"

#include <gtest/gtest.h>

#include <string>

#include "base/date_time.h"
#include "base/uuid_text.h"

namespace onceflow {
namespace {

std::string typed(ColumnType type, std::string_view text) {
  const auto typed = typed_text(type, text);
  return typed ? *typed : "wrong: " + typed.error();
}

void expect_wrong(ColumnType type, std::string_view text, std::string_view part) {
  EXPECT_TRUE(typed(type, text).starts_with("wrong: ") && typed(type, text).contains(part))
      << text << ": " << typed(type, text);
}

TEST(TypedText, a_timestamptz_is_written_in_utc) {
  const auto utc = [](std::string_view text) { return typed(ColumnType::kTimestamptz, text); };
  EXPECT_EQ(utc("2024-02-29T12:30:00Z"), "2024-02-29T12:30:00Z");
  EXPECT_EQ(utc("2024-02-29t12:30:00z"), "2024-02-29T12:30:00Z");
  EXPECT_EQ(utc("2024-02-29 12:30:00.500000+01:00"), "2024-02-29T11:30:00.5Z");
  EXPECT_EQ(utc("2024-03-01T00:30+0100"), "2024-02-29T23:30:00Z");
  EXPECT_EQ(utc("2024-02-29T23:30:00.000001-12"), "2024-03-01T11:30:00.000001Z");
  EXPECT_EQ(utc("2024-01-01T00:00:00+14:00"), "2023-12-31T10:00:00Z");
  EXPECT_EQ(utc("2024-01-01T00:00:00-00:00"), "2024-01-01T00:00:00Z");
  EXPECT_EQ(utc("2024-01-01T00:00:00.123456000Z"), "2024-01-01T00:00:00.123456Z");
  EXPECT_EQ(utc("1969-12-31T23:59:59.999999Z"), "1969-12-31T23:59:59.999999Z");
  EXPECT_EQ(utc("0001-01-01T00:00:00Z"), "0001-01-01T00:00:00Z");
  EXPECT_EQ(utc("9999-12-31T23:59:59.999999Z"), "9999-12-31T23:59:59.999999Z");
}

TEST(TypedText, what_is_no_timestamptz_is_told) {
  const auto wrong = [](std::string_view text, std::string_view part) {
    expect_wrong(ColumnType::kTimestamptz, text, part);
  };
  wrong("2024-01-01T00:00:00", "no zone");
  wrong("2024-01-01", "no time of day");
  wrong("2024-01-01T00:00:00.1234567Z", "more than 6 digits");
  wrong("2024-01-01T23:59:60Z", "leap second");
  wrong("2024-01-01T24:00:00Z", "no such time");
  wrong("2024-01-01T00:60:00Z", "no such time");
  wrong("2023-02-29T00:00:00Z", "no such day");
  wrong("0000-01-01T00:00:00Z", "0001 to 9999");
  wrong("10000-01-01T00:00:00Z", "YYYY-MM-DD");
  wrong("9999-12-31T23:59:59-12:00", "0001 to 9999");
  wrong("0001-01-01T00:00:00+14:00", "0001 to 9999");
  wrong("2024-01-01T00:00:00+16:00", "offset");
  wrong("2024-01-01T00:00:00+01:60", "offset");
  wrong("2024-01-01T00:00:00+1", "offset");
  wrong("2024-01-01T00:00:00Z ", "follows");
  wrong(" 2024-01-01T00:00:00Z", "YYYY-MM-DD");
  wrong("2024-01-01T00:00:00 BC", "HH:MM:SS");
  wrong("2024-01-01T00:00:00,5Z", "HH:MM:SS");
  wrong("2024-01-01T00:00:00.Z", "HH:MM:SS");
  wrong("2024-1-1T00:00:00Z", "YYYY-MM-DD");
  wrong("infinity", "YYYY-MM-DD");
  wrong("", "YYYY-MM-DD");
}

TEST(TypedText, a_timestamp_has_no_zone) {
  EXPECT_EQ(typed(ColumnType::kTimestamp, "2024-02-29 12:30"), "2024-02-29T12:30:00");
  EXPECT_EQ(typed(ColumnType::kTimestamp, "2024-02-29T12:30:00.10"), "2024-02-29T12:30:00.1");
  expect_wrong(ColumnType::kTimestamp, "2024-02-29T12:30:00Z", "has a zone");
  expect_wrong(ColumnType::kTimestamp, "2024-02-29T12:30:00+01:00", "has a zone");
  expect_wrong(ColumnType::kTimestamp, "2024-02-29T12:30:00?", "HH:MM:SS");
}

TEST(TypedText, a_date_is_a_day_alone) {
  EXPECT_EQ(typed(ColumnType::kDate, "2024-02-29"), "2024-02-29");
  EXPECT_EQ(typed(ColumnType::kDate, "0001-01-01"), "0001-01-01");
  expect_wrong(ColumnType::kDate, "2024-02-29T00:00:00Z", "follows the day");
  expect_wrong(ColumnType::kDate, "1900-02-29", "no such day");
  expect_wrong(ColumnType::kDate, "29.2.2024", "YYYY-MM-DD");
}

TEST(TypedText, a_uuid_is_in_lower_case_with_hyphens) {
  constexpr std::string_view kUuid = "123e4567-e89b-12d3-a456-426614174abc";
  EXPECT_EQ(typed(ColumnType::kUuid, kUuid), kUuid);
  EXPECT_EQ(typed(ColumnType::kUuid, "123E4567-E89B-12D3-A456-426614174ABC"), kUuid);
  EXPECT_EQ(typed(ColumnType::kUuid, "{123e4567-e89b-12d3-a456-426614174abc}"), kUuid);
  EXPECT_EQ(typed(ColumnType::kUuid, "123e4567e89b12d3a456426614174abc"), kUuid);
  for (const std::string_view text :
       {"", "{}", "123e4567-e89b-12d3-a456-426614174ab", "123e4567-e89b-12d3-a456-426614174abg",
        "123e4567e-89b-12d3-a456-426614174abc", "{123e4567-e89b-12d3-a456-426614174abc",
        "urn:uuid:123e4567-e89b-12d3-a456-426614174abc"}) {
    expect_wrong(ColumnType::kUuid, text, "32 hexadecimal digits");
  }
}

TEST(TypedText, jsonb_has_one_text_for_a_value) {
  const auto jsonb = [](std::string_view json) { return typed(ColumnType::kJsonb, json); };
  EXPECT_EQ(jsonb(R"( {"bb":1, "a":[ 1.10, 1e2 ,-0], "aa":{"z":null}} )"),
            R"({"a":[1.1,100,0],"aa":{"z":null},"bb":1})");
  EXPECT_EQ(jsonb(R"({"é":1,"zz":2,"z":3})"), R"({"z":3,"zz":2,"é":1})");
  EXPECT_EQ(jsonb(R"({"gr\u00f6\u00dfe":"\u0061\/\n\ud83d\ude00"})"), R"({"größe":"a/\u000a😀"})");
  EXPECT_EQ(jsonb("1e400"), "1e+400");
  EXPECT_EQ(jsonb("[true,false,null,\"\",[],{}]"), "[true,false,null,\"\",[],{}]");
  EXPECT_EQ(jsonb("{}"), "{}");
  const std::string deep = std::string(1999, '[') + std::string(1999, ']');
  EXPECT_EQ(jsonb(deep), deep);
}

TEST(TypedText, what_jsonb_cannot_hold_is_told) {
  expect_wrong(ColumnType::kJsonb, R"({"a":"\u0000"})", "U+0000");
  expect_wrong(ColumnType::kJsonb, R"({"a\u0000":1})", "U+0000");
  expect_wrong(ColumnType::kJsonb, R"({"a":"\ud83d"})", "surrogate");
  expect_wrong(ColumnType::kJsonb, R"({"a":1,"b":2,"\u0061":3})", "two members \"a\"");
  expect_wrong(ColumnType::kJsonb, R"([{"a":1,"a":1}])", "two members \"a\"");
  expect_wrong(ColumnType::kJsonb, "[1e1001]", "the number 1e1001 is beyond");
  expect_wrong(ColumnType::kJsonb, "{\"a\":1", "malformed JSON at byte");
  expect_wrong(ColumnType::kJsonb, "", "malformed JSON");
}

TEST(TypedText, json_is_as_it_is_written) {
  constexpr std::string_view kJson = R"( {"a":1.10, "a":"\u0000\ud83d"} )";
  EXPECT_EQ(typed(ColumnType::kJson, kJson), kJson);
  expect_wrong(ColumnType::kJson, "abc", "malformed JSON at byte 0");
}

TEST(TypedText, bytes_are_any) {
  EXPECT_EQ(typed(ColumnType::kBytea, "\xff\xfe"), "\xff\xfe");
  EXPECT_EQ(typed(ColumnType::kBytea, ""), "");
}

TEST(TypedText, the_form_is_its_own) {
  for (const std::string_view text : {"2024-02-29T12:30:00.5Z", "0001-01-01T00:00:00Z"}) {
    EXPECT_EQ(typed(ColumnType::kTimestamptz, text), text);
    EXPECT_EQ(timestamptz_text(*read_timestamptz(text)), text);
  }
  EXPECT_EQ(*read_date("1970-01-02"), 1);
  EXPECT_EQ(*read_timestamp("1970-01-01T00:00:01"), 1'000'000);
}

}  // namespace
}  // namespace onceflow
