// Points in time, of two kinds that never mix: monotonic (for waits and ages) and wall (for
// records).
#pragma once

#include <chrono>
#include <cstdint>

namespace onceflow {

using Duration = std::chrono::nanoseconds;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

struct MonotonicClockTag {
  using duration = Duration;
  using rep = duration::rep;
  using period = duration::period;
  static constexpr bool is_steady = true;
};

/// Never steps; its zero means nothing and differs between processes.
using MonotonicTime = std::chrono::time_point<MonotonicClockTag, Duration>;

/// Milliseconds since 1970-01-01 UTC, as Kafka's timestamps; may step, so nothing waits on it.
struct WallTime {
  std::int64_t ms = 0;
  friend constexpr auto operator<=>(WallTime, WallTime) = default;
};

inline std::int64_t to_ms(Duration duration) {
  return std::chrono::duration_cast<milliseconds>(duration).count();
}

}  // namespace onceflow
