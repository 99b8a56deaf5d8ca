#include "sim/world/event_log.h"

#include <fmt/format.h>

#include "base/bytes.h"
#include "base/crc32c.h"

namespace onceflow::sim {

void EventLog::note(MonotonicTime time, std::string_view who, std::string_view what) {
  const auto microseconds_since_start =
      std::chrono::duration_cast<microseconds>(time.time_since_epoch()).count();
  mix(static_cast<std::uint64_t>(microseconds_since_start));
  mix(crc32c(as_bytes(what), crc32c(as_bytes(who))));
  if (on_line_) {
    on_line_(fmt::format("{:>12.6f} {:<12} {}", static_cast<double>(microseconds_since_start) / 1e6,
                         who, what));
  }
}

}  // namespace onceflow::sim
