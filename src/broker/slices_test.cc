#include "broker/slices.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <vector>

#include "base/task.h"
#include "io/os/os_environment.h"

namespace onceflow::broker {
namespace {

using ::testing::Each;
using ::testing::Pair;

Task<void> work(Slices& slices, int number, const int& turn, std::map<int, int>& steps_by_turn,
                std::vector<int>& order) {
  co_await slices.begin();
  for (int step = 0; step < 3; ++step) {
    ++steps_by_turn[turn];
    order.push_back(number);
    co_await slices.rest();
  }
}

TEST(Slices, of_all_who_work_are_one_in_each_turn_and_come_in_order) {
  io::OsEnvironment os;
  Slices slices(os.loop(), Duration(0));
  int turn = 0;
  std::map<int, int> steps_by_turn;
  std::vector<int> order;
  for (int number = 0; number < 5; ++number) {
    os.loop().spawn(work(slices, number, turn, steps_by_turn, order));
  }
  std::function<void()> tick = [&] {
    ++turn;
    if (order.size() < 15) {
      os.loop().post([&] { tick(); });
    }
  };
  tick();
  ASSERT_TRUE(os.loop().run_until([&] { return order.size() == 15; }, seconds(20)));
  EXPECT_THAT(steps_by_turn, Each(Pair(testing::_, 1)));
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1, 2, 3, 4}));
}

TEST(Slices, last_as_long_as_they_are) {
  io::OsEnvironment os;
  Slices slices(os.loop(), std::chrono::hours(1));
  int turn = 0;
  std::map<int, int> steps_by_turn;
  std::vector<int> order;
  for (int number = 0; number < 2; ++number) {
    os.loop().spawn(work(slices, number, turn, steps_by_turn, order));
  }
  ASSERT_TRUE(os.loop().run_until([&] { return order.size() == 6; }, seconds(20)));
  EXPECT_EQ(order, (std::vector<int>{0, 0, 0, 1, 1, 1}));
}

}  // namespace
}  // namespace onceflow::broker
