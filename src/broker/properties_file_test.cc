#include "broker/properties_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace onceflow::broker {
namespace {

using testing::ElementsAre;
using testing::FieldsAre;

TEST(PropertiesFile, comments_and_blank_lines_are_nothing) {
  EXPECT_THAT(parse_properties("# a=1\n\n  ! b=2\n\t\n"), ElementsAre());
}

TEST(PropertiesFile, key_and_value_stand_apart_by_equals_colon_or_space) {
  EXPECT_THAT(
      parse_properties("a=1\nb : 2\nc 3\n d = 4 \nempty=\nalone"),
      ElementsAre(FieldsAre("a", "1", 1), FieldsAre("b", "2", 2), FieldsAre("c", "3", 3),
                  FieldsAre("d", "4", 4), FieldsAre("empty", "", 5), FieldsAre("alone", "", 6)));
}

TEST(PropertiesFile, a_backslash_joins_lines_and_the_first_one_counts) {
  EXPECT_THAT(
      parse_properties("a=1,\\\n   2,\\\r\n 3\nb=x\\\\\nc=y"),
      ElementsAre(FieldsAre("a", "1,2,3", 1), FieldsAre("b", "x\\", 4), FieldsAre("c", "y", 5)));
}

TEST(PropertiesFile, escapes_are_resolved) {
  EXPECT_THAT(parse_properties("a\\=b=\\t\\u00e4\\n\\q\\u12"),
              ElementsAre(FieldsAre("a=b", "\t\xc3\xa4\nqu12", 1)));
}

}  // namespace
}  // namespace onceflow::broker
