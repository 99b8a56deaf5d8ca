// RateLimiter: how often something may happen: `burst` times at once, then once an interval. What
// was held back is counted, so that the next line can say so. A value; time is passed in.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

#include "base/time.h"

namespace onceflow {

class RateLimiter {
 public:
  RateLimiter(std::int64_t burst, Duration interval)
      : burst_(burst), interval_(interval), tokens_(burst) {}

  /// Whether it may happen now. If not, it is counted as held back.
  bool allow(MonotonicTime now) {
    refill(now);
    if (tokens_ == 0) {
      ++held_back_count_;
      return false;
    }
    --tokens_;
    return true;
  }
  /// Whether allow() would say yes; counts nothing.
  bool is_open(MonotonicTime now) {
    refill(now);
    return tokens_ > 0;
  }
  /// How many were held back since this was last asked.
  std::uint64_t take_held_back_count() { return std::exchange(held_back_count_, 0); }

 private:
  void refill(MonotonicTime now) {
    if (tokens_ == burst_) {
      refilled_at_ = now;
      return;
    }
    const std::int64_t grown = (now - refilled_at_) / interval_;
    if (grown > 0) {
      tokens_ = std::min(burst_, tokens_ + grown);
      refilled_at_ += grown * interval_;
    }
  }

  std::int64_t burst_;
  Duration interval_;
  std::int64_t tokens_;
  MonotonicTime refilled_at_{};
  std::uint64_t held_back_count_ = 0;
};

}  // namespace onceflow
