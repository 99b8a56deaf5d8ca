#include "engine/refusals.h"

#include <gtest/gtest.h>

namespace onceflow::engine {
namespace {

const TopicPartition kSource{"orders", PartitionIndex(0)};
const TopicPartition kOther{"orders", PartitionIndex(1)};

Refusals::Refusal refusal(std::int64_t first, std::int64_t last,
                          const TopicPartition& source = kSource,
                          std::string text = "orders/0@130 is bad") {
  return {source, Offset(first), Offset(last), {ErrorCode::kRefused, std::move(text)}};
}

TEST(Refusals, a_chunk_that_failed_is_read_again_up_to_it_and_then_record_by_record) {
  Refusals refusals;
  EXPECT_FALSE(refusals.learn());
  refusals.note(refusal(100, 199));
  EXPECT_TRUE(refusals.learn());
  EXPECT_EQ(refusals.limit(kSource, Offset(0), 512).end, Offset(100));
  EXPECT_EQ(refusals.limit(kSource, Offset(0), 512).records_max, 512U);
  EXPECT_EQ(refusals.limit(kSource, Offset(100), 512).records_max, 1U);
  EXPECT_EQ(refusals.limit(kSource, Offset(199), 512).records_max, 1U);
  EXPECT_EQ(refusals.limit(kSource, Offset(200), 512).records_max, 512U);
  EXPECT_EQ(refusals.limit(kOther, Offset(100), 512).records_max, 512U);
}

TEST(Refusals, what_only_a_commit_tells_is_committed_record_by_record) {
  Refusals refusals;
  refusals.note(refusal(100, 199));
  ASSERT_TRUE(refusals.learn());
  EXPECT_FALSE(refusals.limit(kSource, Offset(100), 512).is_commit);
  auto of_a_state = refusal(150, 170, kSource, "the state of key 'a' is too large");
  of_a_state.only_commits_tell = true;
  refusals.note(of_a_state);
  ASSERT_TRUE(refusals.learn());
  EXPECT_EQ(refusals.limit(kSource, Offset(100), 512).end, Offset(150));
  EXPECT_FALSE(refusals.limit(kSource, Offset(149), 512).is_commit);
  EXPECT_TRUE(refusals.limit(kSource, Offset(150), 512).is_commit);
  EXPECT_EQ(refusals.limit(kSource, Offset(150), 512).records_max, 1U);
  EXPECT_FALSE(refusals.limit(kSource, Offset(171), 512).is_commit);
  EXPECT_FALSE(refusals.limit(kOther, Offset(150), 512).is_commit);
}

TEST(Refusals, the_partition_is_held_in_front_of_the_record_and_its_error_is_told) {
  Refusals refusals;
  refusals.note(refusal(100, 199));
  ASSERT_TRUE(refusals.learn());
  refusals.note(refusal(130, 130));
  ASSERT_TRUE(refusals.learn());
  EXPECT_EQ(refusals.limit(kSource, Offset(0), 512).end, Offset(130));
  refusals.settle(kSource, Offset(129));
  EXPECT_FALSE(refusals.holds(kSource));
  EXPECT_TRUE(refusals.held_up());
  refusals.settle(kSource, Offset(130));
  EXPECT_TRUE(refusals.holds(kSource));
  EXPECT_FALSE(refusals.holds(kOther));
  EXPECT_EQ(refusals.held_up().error().text, "orders/0@130 is bad");
}

TEST(Refusals, a_position_that_was_moved_past_the_record_is_not_held) {
  Refusals refusals;
  refusals.note(refusal(130, 130));
  ASSERT_TRUE(refusals.learn());
  refusals.settle(kSource, Offset(131));
  EXPECT_FALSE(refusals.holds(kSource));
  EXPECT_EQ(refusals.limit(kSource, Offset(131), 512).end, ChunkLimit{}.end);
}

TEST(Refusals, partitions_are_held_each_by_its_own_record) {
  Refusals refusals;
  refusals.note(refusal(130, 130));
  ASSERT_TRUE(refusals.learn());
  refusals.note(refusal(7, 7, kOther, "orders/1@7 is bad"));
  ASSERT_TRUE(refusals.learn());
  refusals.settle(kOther, Offset(7));
  EXPECT_TRUE(refusals.holds(kOther));
  EXPECT_FALSE(refusals.holds(kSource));
  EXPECT_EQ(refusals.held_up().error().text, "orders/1@7 is bad");
}

// What fails wherever it is tried is not a record's fault, and rounds would not end.
TEST(Refusals, the_same_words_about_two_places_are_not_about_a_record) {
  Refusals refusals;
  refusals.note(refusal(0, 99, kSource, "the topic may not be written to"));
  ASSERT_TRUE(refusals.learn());
  refusals.note(refusal(100, 199, kSource, "the topic may not be written to"));
  EXPECT_FALSE(refusals.learn());
  refusals.note(refusal(0, 0, kOther, "the topic may not be written to"));
  EXPECT_FALSE(refusals.learn());
}

TEST(Refusals, a_record_that_is_met_again_ends_the_rounds_whatever_is_said_of_it) {
  Refusals refusals;
  refusals.note(refusal(130, 130));
  ASSERT_TRUE(refusals.learn());
  refusals.note(refusal(130, 130, kSource, "what orders/0@130 became: orders/0@130 is bad"));
  EXPECT_FALSE(refusals.learn());
}

}  // namespace
}  // namespace onceflow::engine
