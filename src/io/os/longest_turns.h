// LongestTurns: for how long a loop has kept everybody waiting: the longest piece of work without a
// look at sockets, timers and what others have posted. Owned by its loop.
#pragma once

#include <algorithm>

#include "base/time.h"

namespace onceflow::io {

class LongestTurns {
 public:
  /// Half of what "lately" reaches back, at least.
  static constexpr Duration kWindow = seconds(30);

  void add(MonotonicTime end, Duration length) {
    move_on(end);
    window_ = std::max(window_, length);
    ever_ = std::max(ever_, length);
  }

  /// Within the last minute, or at least the half of it.
  Duration lately(MonotonicTime now) {
    move_on(now);
    return std::max(window_, window_before_);
  }
  Duration ever() const { return ever_; }

 private:
  void move_on(MonotonicTime now) {
    if (now - window_began_ >= kWindow) {
      window_before_ = now - window_began_ < 2 * kWindow ? window_ : Duration{};
      window_ = {};
      window_began_ = now;
    }
  }

  MonotonicTime window_began_;
  Duration window_{};
  Duration window_before_{};
  Duration ever_{};
};

}  // namespace onceflow::io
