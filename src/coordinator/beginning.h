// Beginning: when something began whose time goes on while the process is down. A value; its bytes
// are drawn in docs/formats/coordinator_records.md.
//
// A deadline is a time of the monotonic clock, and dies with it. What is kept is the beginning, by
// both clocks. As long as the machine runs, the monotonic one goes on over restarts of the process,
// and steps of the wall clock change nothing. After the machine itself has started anew only the
// wall clock is left: it may be wrong, so it never makes an age negative, and the beginning is
// written down again by the new count (rebased()), so that an age only grows from then on.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/time.h"
#include "base/wire.h"
#include "coordinator/effects.h"

namespace onceflow::coordinator {

struct Beginning {
  WallTime wall;
  MonotonicTime monotonic{};
  std::uint64_t monotonic_epoch = 0;  ///< 0: `monotonic` compares with nothing

  static Beginning at(const Moment& moment) {
    return {moment.wall, moment.monotonic, moment.monotonic_epoch};
  }

  bool is_of_epoch(std::uint64_t epoch) const {
    return monotonic_epoch != 0 && monotonic_epoch == epoch;
  }

  Duration age(const Moment& now) const {
    const Duration age =
        is_of_epoch(now.monotonic_epoch)
            ? now.monotonic - monotonic
            : Duration(milliseconds(std::clamp<std::int64_t>(now.wall.ms - wall.ms, 0, kAgeMsMax)));
    return std::max(age, Duration::zero());
  }

  /// The same beginning by the clocks of `now`.
  Beginning rebased(const Moment& now) const {
    const Duration passed = age(now);
    return {{now.wall.ms - to_ms(passed)}, now.monotonic - passed, now.monotonic_epoch};
  }

  void encode(WireWriter& writer) const {
    writer.write_int64(wall.ms);
    writer.write_int64(monotonic.time_since_epoch().count());
    writer.write_uint64(monotonic_epoch);
  }
  static Beginning decode(WireReader& reader) {
    Beginning beginning;
    beginning.wall.ms = reader.read_int64();
    beginning.monotonic = MonotonicTime(Duration(reader.read_int64()));
    beginning.monotonic_epoch = reader.read_uint64();
    return beginning;
  }

 private:
  /// A century; more would overflow a Duration.
  static constexpr std::int64_t kAgeMsMax = 3'155'760'000'000;
};

}  // namespace onceflow::coordinator
