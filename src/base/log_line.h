// Lines of the log of a process: text for people, JSON for machines; one event is one line in both,
// whatever stands in it. Stateless.
//
//   2026-11-29T10:41:26.123Z WARN  run stage=paid event="retrying": the text
//   {"time":"2026-11-29T10:41:26.123Z","level":"warn","component":"run","stage":"paid",...}
#pragma once

#include <string>
#include <string_view>

#include "base/log_event.h"
#include "base/time.h"

namespace onceflow {

enum class LogFormat : std::uint8_t { kText, kJson };

/// "2026-11-29T10:41:26.123Z".
std::string to_iso8601_ms(WallTime time);

/// Ends with a line feed and holds no other; valid UTF-8, as names come from outside.
std::string to_log_line(const LogEvent& event, WallTime time, LogFormat format,
                        std::string_view component);

}  // namespace onceflow
