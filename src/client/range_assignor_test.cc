#include "client/range_assignor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace onceflow::client {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TopicPartition partition(const char* topic, int index) { return {topic, PartitionIndex(index)}; }

TEST(RangeAssignor, the_first_members_get_one_more) {
  const auto assignment = assign_range({{"b", {}, {"t"}}, {"a", {}, {"t"}}}, {{"t", 3}});
  EXPECT_THAT(assignment.at("a"), ElementsAre(partition("t", 0), partition("t", 1)));
  EXPECT_THAT(assignment.at("b"), ElementsAre(partition("t", 2)));
}

TEST(RangeAssignor, static_members_stand_by_their_instance_and_before_others) {
  const auto assignment =
      assign_range({{"a", {}, {"t"}}, {"z", "1", {"t"}}, {"y", "2", {"t"}}}, {{"t", 3}});
  EXPECT_THAT(assignment.at("z"), ElementsAre(partition("t", 0)));
  EXPECT_THAT(assignment.at("y"), ElementsAre(partition("t", 1)));
  EXPECT_THAT(assignment.at("a"), ElementsAre(partition("t", 2)));
}

TEST(RangeAssignor, a_topic_goes_to_those_who_asked_for_it_and_every_member_has_an_entry) {
  const auto assignment = assign_range(
      {{"a", {}, {"t"}}, {"b", {}, {"u", "missing"}}, {"c", {}, {"t"}}}, {{"t", 1}, {"u", 2}});
  EXPECT_THAT(assignment.at("a"), ElementsAre(partition("t", 0)));
  EXPECT_THAT(assignment.at("b"), ElementsAre(partition("u", 0), partition("u", 1)));
  EXPECT_THAT(assignment.at("c"), IsEmpty());
}

TEST(RangeAssignor, messages_of_members_survive_their_encoding) {
  EXPECT_THAT(decode_subscription(encode_subscription({"u", "t"})).value(), ElementsAre("t", "u"));
  const std::vector<TopicPartition> partitions = {partition("t", 0), partition("t", 3),
                                                  partition("u", 1)};
  EXPECT_EQ(decode_assignment(encode_assignment(partitions)).value(), partitions);
  EXPECT_THAT(decode_assignment({}).value(), IsEmpty());
  EXPECT_FALSE(decode_assignment(to_buffer("x")));
  EXPECT_FALSE(decode_subscription(to_buffer(std::string_view("\0\0\0\0\0\7", 6))));
}

}  // namespace
}  // namespace onceflow::client
