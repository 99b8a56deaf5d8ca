// RateWindow: how fast a counter grows, over about the last ten seconds of being looked at.
#pragma once

#include <cstdint>
#include <deque>
#include <utility>

#include "base/time.h"

namespace onceflow::app {

class RateWindow {
 public:
  /// Per second, since the oldest look that is not older than the window; since `begun` at the
  /// first.
  double add(MonotonicTime now, std::uint64_t total, MonotonicTime begun) {
    while (samples_.size() > 1 && now - samples_[1].first >= kWindow) {
      samples_.pop_front();
    }
    const auto [since, base] =
        samples_.empty() ? std::pair(begun, std::uint64_t{0}) : samples_.front();
    if (samples_.empty() || now - samples_.back().first >= kStep) {
      samples_.emplace_back(now, total);
    }
    const double passed = std::chrono::duration<double>(now - since).count();
    return passed > 0 && total >= base ? static_cast<double>(total - base) / passed : 0;
  }

 private:
  static constexpr Duration kWindow = seconds(10);
  static constexpr Duration kStep =
      milliseconds(500);  ///< bounds what is kept, however often one looks
  std::deque<std::pair<MonotonicTime, std::uint64_t>> samples_;
};

}  // namespace onceflow::app
