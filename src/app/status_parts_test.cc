#include "app/status_parts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace onceflow::app {
namespace {

using ::testing::SizeIs;

TEST(StatusParts, what_is_flat_and_fits_is_on_one_line) {
  EXPECT_EQ(lay_out(R"({"a":{"b":1,"c":[]},"d":[{"e":"x"},{"e":null}]})"),
            "{\n"
            "  \"a\": {\"b\": 1, \"c\": []},\n"
            "  \"d\": [\n"
            "    {\"e\": \"x\"},\n"
            "    {\"e\": null}\n"
            "  ]\n"
            "}\n");
  const std::string longer(130, 'x');
  EXPECT_EQ(lay_out("[\"" + longer + "\"]"), "[\n  \"" + longer + "\"\n]\n");
}

TEST(StatusParts, a_name_that_two_parts_have_stays_one_family) {
  Families families;
  families.gauge("age", "ours").add({{"stage", "a"}}, 1);
  families.counter("count_total", "theirs").add({}, 3);
  families.gauge("age", "theirs").add({{"id", "b"}}, 2);
  const auto taken = families.take();
  ASSERT_THAT(taken, SizeIs(2));
  EXPECT_THAT(taken[0].samples, SizeIs(2));
  EXPECT_EQ(taken[1].name, "count_total");
}

TEST(StatusParts, times_are_written_as_people_read_them) {
  EXPECT_EQ(to_iso8601(WallTime(1795254824123)), "2026-11-21T09:53:44Z");
  EXPECT_EQ(to_iso8601(WallTime(951782400000)), "2000-02-29T00:00:00Z");
  EXPECT_EQ(round_to_ms(microseconds(1499600)), 1.5);
}

}  // namespace
}  // namespace onceflow::app
