#include "base/rate_limiter.h"

#include <gtest/gtest.h>

namespace onceflow {
namespace {

MonotonicTime at(Duration time) { return MonotonicTime(time); }

TEST(RateLimiter, a_burst_passes_then_one_an_interval) {
  RateLimiter limiter(3, seconds(10));
  EXPECT_TRUE(limiter.allow(at(seconds(100))));
  EXPECT_TRUE(limiter.allow(at(seconds(100))));
  EXPECT_TRUE(limiter.allow(at(seconds(101))));
  EXPECT_FALSE(limiter.allow(at(seconds(102))));
  EXPECT_FALSE(limiter.allow(at(seconds(109))));
  EXPECT_TRUE(limiter.allow(at(seconds(110))));
  EXPECT_FALSE(limiter.allow(at(seconds(111))));
}

TEST(RateLimiter, what_was_held_back_is_counted_once) {
  RateLimiter limiter(1, seconds(10));
  EXPECT_TRUE(limiter.allow(at(seconds(0))));
  EXPECT_FALSE(limiter.allow(at(seconds(1))));
  EXPECT_FALSE(limiter.allow(at(seconds(2))));
  EXPECT_EQ(limiter.take_held_back_count(), 2U);
  EXPECT_EQ(limiter.take_held_back_count(), 0U);
}

TEST(RateLimiter, a_long_rest_fills_it_up_and_no_further) {
  RateLimiter limiter(2, seconds(1));
  EXPECT_TRUE(limiter.allow(at(seconds(0))));
  EXPECT_TRUE(limiter.allow(at(seconds(0))));
  EXPECT_TRUE(limiter.allow(at(seconds(1000))));
  EXPECT_TRUE(limiter.allow(at(seconds(1000))));
  EXPECT_FALSE(limiter.allow(at(seconds(1000))));
}

TEST(RateLimiter, a_day_of_flapping_is_bounded) {
  RateLimiter limiter(10, seconds(60));
  int passed = 0;
  for (int second = 0; second < 86'400; ++second) {
    passed += limiter.allow(at(seconds(second))) ? 1 : 0;
  }
  EXPECT_LE(passed, 10 + 86'400 / 60);
  EXPECT_GE(passed, 86'400 / 60);
}

}  // namespace
}  // namespace onceflow
