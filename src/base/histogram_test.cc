#include "base/histogram.h"

#include <gtest/gtest.h>

namespace onceflow {
namespace {

TEST(Histogram, a_duration_lies_in_the_first_bucket_that_holds_it) {
  Histogram histogram;
  histogram.add(microseconds(1));
  histogram.add(microseconds(2));
  histogram.add(microseconds(3));
  histogram.add(microseconds(4));
  histogram.add(seconds(1000));
  EXPECT_EQ(histogram.counts()[0], 1U);
  EXPECT_EQ(histogram.counts()[1], 1U);
  EXPECT_EQ(histogram.counts()[2], 2U);
  EXPECT_EQ(histogram.counts().back(), 1U);
  EXPECT_EQ(histogram.count(), 5U);
}

TEST(Histogram, quantiles_are_upper_bounds) {
  Histogram histogram;
  EXPECT_EQ(histogram.quantile(0.5), Duration{});
  for (int index = 0; index < 99; ++index) {
    histogram.add(microseconds(100));
  }
  histogram.add(milliseconds(10));
  EXPECT_EQ(histogram.quantile(0.5), microseconds(128));
  EXPECT_EQ(histogram.quantile(0.99), microseconds(16384));
}

}  // namespace
}  // namespace onceflow
