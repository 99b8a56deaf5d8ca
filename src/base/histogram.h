// Histogram: counts of durations in buckets that double, from 1 µs to about 67 s. Fixed size, no
// allocation; for latencies that a status page or /metrics shows.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

#include "base/time.h"

namespace onceflow {

class Histogram {
 public:
  static constexpr std::size_t kBucketCount = 28;

  /// Upper bound of a bucket, inclusive; the last one also takes everything above it.
  static constexpr Duration upper_bound(std::size_t bucket) {
    return microseconds(std::int64_t{1} << bucket);
  }

  void add(Duration duration) {
    const auto us =
        static_cast<std::uint64_t>(std::max<std::int64_t>(0, (duration.count() + 999) / 1000));
    const auto bucket = static_cast<std::size_t>(us <= 1 ? 0 : std::bit_width(us - 1));
    ++counts_[std::min(bucket, kBucketCount - 1)];
    ++count_;
    sum_ += duration;
  }

  std::uint64_t count() const { return count_; }
  Duration sum() const { return sum_; }
  const std::array<std::uint64_t, kBucketCount>& counts() const { return counts_; }

  /// Upper bound of the bucket in which the quantile lies; zero without any counts.
  Duration quantile(double fraction) const {
    if (count_ == 0) {
      return Duration{};
    }
    const auto rank = static_cast<std::uint64_t>(fraction * static_cast<double>(count_));
    std::uint64_t seen = 0;
    for (std::size_t bucket = 0; bucket < kBucketCount; ++bucket) {
      seen += counts_[bucket];
      if (seen > rank) {
        return upper_bound(bucket);
      }
    }
    return upper_bound(kBucketCount - 1);
  }

 private:
  std::array<std::uint64_t, kBucketCount> counts_{};
  std::uint64_t count_ = 0;
  Duration sum_{};
};

}  // namespace onceflow
