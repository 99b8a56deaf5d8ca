// What is named more than once in a request is made one, whatever the names are.
#include "protocol/repeats.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "protocol/messages/index.h"

/// A name whose hash is that of every other, as those of an attacker.
struct Colliding {
  int value = 0;
  auto operator<=>(const Colliding&) const = default;
};
template <>
struct std::hash<Colliding> {
  std::size_t operator()(const Colliding&) const { return 7; }
};

namespace onceflow::protocol {
namespace {

using ::testing::ElementsAre;

template <typename T>
std::vector<T> collapsed(std::vector<T> values) {
  codec::collapse_repeats(
      values, [](const T& value) -> decltype(auto) { return (value); }, [](auto&, auto&) {});
  return values;
}

TEST(Repeats, first_stays_in_its_place) {
  EXPECT_THAT(collapsed<int>({}), ElementsAre());
  EXPECT_THAT(collapsed<int>({1, 2, 3}), ElementsAre(1, 2, 3));
  EXPECT_THAT(collapsed<int>({3, 1, 3, 2, 1}), ElementsAre(3, 1, 2));
}

TEST(Repeats, many_are_judged_as_few_are) {
  std::vector<int> many;
  std::vector<int> expected;
  for (int value = 5000; value > 0; --value) {
    many.insert(many.end(), {value, 5000, value});
    expected.push_back(value);
  }
  EXPECT_EQ(collapsed(many), expected);
}

TEST(Repeats, names_that_collide_cost_no_more_than_a_sort) {
  std::vector<Colliding> many(100'000);
  for (std::size_t index = 0; index < many.size(); ++index) {
    many[index].value = static_cast<int>((index * 7919) % 50'000);  // each twice
  }
  EXPECT_EQ(collapsed(many).size(), 50'000U);
}

TEST(Repeats, arrays_are_joined_and_of_other_fields_the_last_counts) {
  FetchRequest request;
  request.topics = {
      {.topic = "a", .partitions = {{.partition = 1, .fetch_offset = 1}}},
      {.topic = "b", .partitions = {{.partition = 0}}},
      {.topic = "a", .partitions = {{.partition = 2}, {.partition = 1, .fetch_offset = 9}}}};
  request.collapse_repeats();
  ASSERT_EQ(request.topics.size(), 2U);
  EXPECT_EQ(request.topics[0].topic, "a");
  ASSERT_EQ(request.topics[0].partitions.size(), 2U);
  EXPECT_EQ(request.topics[0].partitions[0].fetch_offset, 9);
  EXPECT_EQ(request.topics[0].partitions[1].partition, 2);
}

TEST(Repeats, what_may_not_be_repeated_is_marked) {
  ProduceRequest request;
  request.topic_data = {{.name = "a", .partition_data = {{.index = 0}, {.index = 1}}},
                        {.name = "a", .partition_data = {{.index = 1}, {.index = 2}}}};
  request.collapse_repeats();
  ASSERT_EQ(request.topic_data.size(), 1U);
  const auto& partitions = request.topic_data[0].partition_data;
  ASSERT_EQ(partitions.size(), 3U);
  EXPECT_FALSE(partitions[0].is_repeated);
  EXPECT_TRUE(partitions[1].is_repeated);
  EXPECT_FALSE(partitions[2].is_repeated);
}

TEST(Repeats, null_names_everything) {
  OffsetFetchRequest request;
  request.groups = {{.group_id = "g", .topics = {{{.name = "a"}}}}, {.group_id = "g"}};
  request.collapse_repeats();
  ASSERT_EQ(request.groups.size(), 1U);
  EXPECT_FALSE(request.groups[0].topics.has_value());
}

TEST(Repeats, an_id_counts_where_there_is_no_name) {
  const TopicId one{{1}};
  const TopicId two{{2}};
  MetadataRequest request;
  request.topics.emplace() = {{.topic_id = one, .name = "a"},
                              {.topic_id = two, .name = "a"},
                              {.topic_id = one, .name = std::nullopt},
                              {.topic_id = two, .name = std::nullopt},
                              {.topic_id = one, .name = std::nullopt}};
  request.collapse_repeats();
  ASSERT_EQ(request.topics->size(), 3U);
  EXPECT_EQ(request.topics->at(1).topic_id, one);
  EXPECT_EQ(request.topics->at(2).topic_id, two);
}

}  // namespace
}  // namespace onceflow::protocol
