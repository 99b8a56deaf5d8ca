#include "broker/memory_budget.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace onceflow::broker {
namespace {

using testing::ElementsAre;

class MemoryBudgetTest : public testing::Test {
 protected:
  MemoryBudgetTest() {
    budget.wake = [this](MemoryBudget::Owner owner) { woken.push_back(owner.value); };
  }
  MemoryBudget budget{100};
  std::vector<std::uint64_t> woken;
  MemoryBudget::Share one{budget, MemoryBudget::Owner(1)};
  MemoryBudget::Share two{budget, MemoryBudget::Owner(2)};
  MemoryBudget::Share three{budget, MemoryBudget::Owner(3)};
};

TEST_F(MemoryBudgetTest, beyond_the_limit_only_the_first_to_ask_may_go_on) {
  EXPECT_TRUE(one.may_grow());
  one.add(101);
  EXPECT_TRUE(two.may_grow());
  EXPECT_FALSE(three.may_grow());
  EXPECT_FALSE(one.may_grow());
  EXPECT_TRUE(two.may_grow());
}

TEST_F(MemoryBudgetTest, all_who_wait_are_woken_when_there_is_memory_again) {
  one.add(101);
  EXPECT_TRUE(two.may_grow());
  EXPECT_FALSE(three.may_grow());
  one.subtract(101);
  EXPECT_THAT(woken, ElementsAre(2, 3));
  EXPECT_TRUE(three.may_grow());
}

TEST_F(MemoryBudgetTest, who_gives_back_all_or_goes_lets_the_next_one_in) {
  one.add(150);
  EXPECT_TRUE(two.may_grow());
  EXPECT_FALSE(three.may_grow());
  two.add(10);
  two.subtract(10);
  EXPECT_THAT(woken, ElementsAre(3));
  EXPECT_TRUE(three.may_grow());
  EXPECT_FALSE(two.may_grow());
  three.withdraw();
  EXPECT_THAT(woken, ElementsAre(3, 2));
}

}  // namespace
}  // namespace onceflow::broker
