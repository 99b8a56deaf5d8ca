#include "engine/input_watch.h"

#include <gtest/gtest.h>

#include "engine/hold_inquiry.h"

namespace onceflow::engine {
namespace {

const TopicPartition kOrders{"orders", PartitionIndex(0)};

MonotonicTime at(int second) { return MonotonicTime(seconds(second)); }

std::vector<InputWatch::Partition> view(int committed, int position, int last_stable, int end) {
  return {{kOrders, Offset(committed), Offset(position), Offset(last_stable), Offset(end)}};
}

class InputWatchTest : public ::testing::Test {
 protected:
  InputWatch watch_{seconds(3), seconds(30)};
};

TEST_F(InputWatchTest, nothing_to_do_is_neither_held_nor_standing) {
  for (int second = 0; second < 100; ++second) {
    const auto verdict = watch_.look(view(5, 5, 5, 5), 5, at(second));
    EXPECT_TRUE(verdict.held.empty());
    EXPECT_FALSE(verdict.stands_since);
  }
}

TEST_F(InputWatchTest, unknown_ends_say_nothing) {
  const auto verdict = watch_.look(
      std::vector<InputWatch::Partition>{{kOrders, Offset(5), Offset(5), kNoOffset, kNoOffset}}, 5,
      at(100));
  EXPECT_TRUE(verdict.held.empty());
  EXPECT_FALSE(verdict.stands_since);
}

TEST_F(InputWatchTest, an_open_transaction_is_told_after_a_while_with_its_count) {
  EXPECT_TRUE(watch_.look(view(5, 5, 5, 10), 5, at(0)).held.empty());
  EXPECT_TRUE(watch_.look(view(5, 5, 5, 10), 5, at(2)).held.empty());
  const auto verdict = watch_.look(view(5, 5, 5, 11), 5, at(3));
  ASSERT_EQ(verdict.held.size(), 1U);
  EXPECT_EQ(verdict.held[0].source, kOrders);
  EXPECT_EQ(verdict.held[0].first_offset, Offset(5));
  EXPECT_EQ(verdict.held[0].count, 6);
  EXPECT_EQ(verdict.held[0].since, at(0));
}

TEST_F(InputWatchTest, transactions_one_after_the_other_hold_nothing) {
  for (int second = 0; second < 60; ++second) {
    EXPECT_TRUE(watch_.look(view(second, second, second, second + 2), 5, at(second)).held.empty());
  }
}

TEST_F(InputWatchTest, what_is_readable_and_not_read_yet_is_not_held) {
  watch_.look(view(5, 5, 9, 12), 5, at(0));
  EXPECT_TRUE(watch_.look(view(5, 5, 9, 12), 6, at(10)).held.empty());
}

TEST_F(InputWatchTest, a_stage_that_does_not_get_on_stands) {
  EXPECT_FALSE(watch_.look(view(5, 5, 9, 9), 5, at(0)).stands_since);
  EXPECT_FALSE(watch_.look(view(5, 5, 9, 9), 5, at(29)).stands_since);
  EXPECT_EQ(watch_.look(view(5, 5, 9, 9), 5, at(30)).stands_since, at(0));
  EXPECT_FALSE(watch_.look(view(5, 5, 9, 9), 6, at(31)).stands_since);  // it has moved
}

TEST_F(InputWatchTest, reading_without_committing_for_long_is_seen_by_what_moves) {
  // Read up to the end, not committed: a commit that hangs.
  EXPECT_FALSE(watch_.look(view(5, 9, 9, 9), 5, at(0)).stands_since);
  EXPECT_EQ(watch_.look(view(5, 9, 9, 9), 5, at(40)).stands_since, at(0));
}

TEST_F(InputWatchTest, rest_before_the_input_came_does_not_count) {
  watch_.look(view(5, 5, 5, 5), 5, at(0));
  watch_.look(view(5, 5, 5, 5), 5, at(1000));
  EXPECT_FALSE(watch_.look(view(5, 5, 6, 6), 5, at(1001)).stands_since);
  EXPECT_TRUE(watch_.look(view(5, 5, 6, 6), 5, at(1031)).stands_since.has_value());
}

const client::ClientOptions kClient{.bootstrap_servers = {{"kafka1", 9092}}};

TEST(DescribeHold, names_who_holds_what_and_what_to_do) {
  const std::vector<InputWatch::Held> held{{kOrders, Offset(130), 5, at(0)}};
  const StageCause cause = describe_hold(kClient, held,
                                         {{.partition = kOrders,
                                           .first_offset = Offset(130),
                                           .producer_id = 7,
                                           .producer_epoch = 2,
                                           .transactional_id = "payer",
                                           .started_at_ms = 1795254824123,
                                           .timeout_ms = 60'000,
                                           .unknown_why = {}}});
  EXPECT_EQ(cause.what,
            "5 records of orders-0 from offset 130 on are held back by the open transaction of "
            "transactional.id 'payer' (producer id 7, epoch 2), begun 2026-11-21T09:53:44.123Z, "
            "time-out 60000 ms");
  EXPECT_TRUE(cause.remedy.ends_with(
      "kafka-transactions.sh --bootstrap-server kafka1:9092 abort --topic orders --partition 0 "
      "--start-offset 130"))
      << cause.remedy;
}

TEST(DescribeHold, who_is_not_known_is_said_to_be_unknown) {
  const std::vector<InputWatch::Held> held{{kOrders, Offset(130), 1, at(0)}};
  EXPECT_EQ(describe_hold(kClient, held, {}).what,
            "1 record of orders-0 from offset 130 on is held back by an open transaction, whose is "
            "being asked");
  EXPECT_EQ(
      describe_hold(kClient, held, {{.partition = kOrders, .unknown_why = "not offered"}}).what,
      "1 record of orders-0 from offset 130 on is held back by an open transaction; whose is "
      "not known: not offered");
}

}  // namespace
}  // namespace onceflow::engine
