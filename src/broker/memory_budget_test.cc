#include "broker/memory_budget.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace onceflow::broker {
namespace {

using testing::ElementsAre;
using Rank = MemoryBudget::Rank;

constexpr std::size_t kMebibyte = 1u << 20;

class MemoryBudgetTest : public testing::Test {
 protected:
  MemoryBudgetTest() {
    budget.wake = [this](MemoryBudget::Owner owner) { woken.push_back(owner.value); };
    budget.on_short = [this] { ++short_count; };
  }
  // 160 MiB: 150 for medium requests, 140 for large ones.
  MemoryBudget budget{160 * kMebibyte};
  std::vector<std::uint64_t> woken;
  int short_count = 0;
  MemoryBudget::Share one{budget, MemoryBudget::Owner(1), "a"};
  MemoryBudget::Share two{budget, MemoryBudget::Owner(2), "a"};
  MemoryBudget::Share three{budget, MemoryBudget::Owner(3), "b"};
};

TEST_F(MemoryBudgetTest, each_rank_leaves_room_for_the_smaller_ones) {
  EXPECT_EQ(budget.limit_of(Rank::kSmall), 160 * kMebibyte);
  EXPECT_EQ(budget.limit_of(Rank::kMedium), 150 * kMebibyte);
  EXPECT_EQ(budget.limit_of(Rank::kLarge), 140 * kMebibyte);
  EXPECT_TRUE(one.take_at_once(140 * kMebibyte));
  EXPECT_FALSE(two.take_at_once(3 * kMebibyte));
  for (int count = 0; count < 10; ++count) {
    EXPECT_TRUE(two.take_at_once(kMebibyte));
  }
  EXPECT_FALSE(two.take_at_once(kMebibyte));
  EXPECT_TRUE(three.take_at_once(60 * 1024));
}

// MEM-1
TEST_F(MemoryBudgetTest, nothing_is_granted_beyond_the_limit_to_one_that_is_alone) {
  EXPECT_FALSE(one.take_at_once(141 * kMebibyte));
  EXPECT_EQ(one.held_bytes(), 0u);
  EXPECT_TRUE(one.is_waiting());
  EXPECT_EQ(short_count, 1);
  EXPECT_EQ(one.take_up_to(1000 * kMebibyte), 35 * kMebibyte);
}

TEST_F(MemoryBudgetTest, a_request_that_has_begun_can_always_be_finished) {
  EXPECT_TRUE(one.take(40 * kMebibyte, 100 * kMebibyte));
  EXPECT_TRUE(two.take(40 * kMebibyte, 100 * kMebibyte));
  EXPECT_FALSE(three.take(kMebibyte, 70 * kMebibyte));  // neither could go on to its end
  EXPECT_TRUE(one.take(60 * kMebibyte, 60 * kMebibyte));
  one.finish();
  one.give_back(one.held_bytes());
  EXPECT_THAT(woken, ElementsAre(3));
  EXPECT_TRUE(two.take(60 * kMebibyte, 60 * kMebibyte));
}

TEST_F(MemoryBudgetTest, one_that_is_almost_finished_may_go_on_before_the_others) {
  EXPECT_TRUE(one.take(60 * kMebibyte, 120 * kMebibyte));
  EXPECT_TRUE(two.take(10 * kMebibyte, 20 * kMebibyte));
  EXPECT_TRUE(two.take(10 * kMebibyte, 10 * kMebibyte));
  EXPECT_FALSE(three.take(50 * kMebibyte, 100 * kMebibyte));  // one needs sixty more
  EXPECT_TRUE(three.take(30 * kMebibyte, 40 * kMebibyte));    // and gets them when three has ended
}

TEST_F(MemoryBudgetTest, what_the_journal_has_buffered_counts) {
  budget.set_common_bytes(140 * kMebibyte);
  EXPECT_FALSE(one.take_at_once(3 * kMebibyte));
  budget.set_common_bytes(0);
  EXPECT_THAT(woken, ElementsAre(1));
  EXPECT_TRUE(one.take_at_once(3 * kMebibyte));
}

TEST_F(MemoryBudgetTest, one_that_goes_gives_back_all_and_waits_no_more) {
  {
    MemoryBudget::Share four{budget, MemoryBudget::Owner(4), "c"};
    EXPECT_TRUE(four.take_at_once(130 * kMebibyte));
    EXPECT_FALSE(one.take(20 * kMebibyte, 20 * kMebibyte));
    EXPECT_EQ(budget.wanted_bytes(), 20 * kMebibyte);
  }
  EXPECT_EQ(budget.used_bytes(), 0u);
  EXPECT_THAT(woken, ElementsAre(1));
  EXPECT_EQ(budget.waiting_count(), 0u);
}

// Else each small answer that leaves would have all of them try again.
TEST_F(MemoryBudgetTest, who_waits_is_woken_when_there_may_be_what_it_waits_for) {
  EXPECT_TRUE(one.take_at_once(139 * kMebibyte));
  EXPECT_TRUE(two.take_at_once(kMebibyte));
  EXPECT_FALSE(three.take_at_once(20 * kMebibyte));
  two.give_back(kMebibyte);
  EXPECT_THAT(woken, testing::IsEmpty());
  EXPECT_FALSE(three.may_try());
  EXPECT_EQ(budget.waiting_count(), 1u);
  one.give_back(60 * kMebibyte);
  EXPECT_THAT(woken, ElementsAre(3));
  EXPECT_TRUE(three.may_try());
}

TEST_F(MemoryBudgetTest, an_answer_gets_a_little_even_when_memory_is_short) {
  EXPECT_TRUE(one.take_at_once(140 * kMebibyte));
  EXPECT_EQ(two.take_up_to(50 * kMebibyte), 32u * 1024);
  EXPECT_EQ(two.take_up_to(100), 100u);
}

}  // namespace
}  // namespace onceflow::broker
