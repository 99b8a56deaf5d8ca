#include "base/json_text.h"

#include <gtest/gtest.h>

namespace onceflow {
namespace {

std::string written(const Value& value) {
  std::string json;
  append_json_value(json, value);
  return json;
}

TEST(JsonText, strings_are_escaped) {
  EXPECT_EQ(written(std::string_view("a\"b\\c\n\x01ü")), R"("a\"b\\c\u000a\u0001ü")");
}

TEST(JsonText, numbers_read_back_as_they_were) {
  EXPECT_EQ(written(std::int64_t{-9223372036854775807 - 1}), "-9223372036854775808");
  EXPECT_EQ(written(3.0), "3.0");
  EXPECT_EQ(written(0.1), "0.1");
  EXPECT_EQ(written(1e300), "1e+300");
  EXPECT_EQ(written(std::monostate{}), "null");
}

}  // namespace
}  // namespace onceflow
