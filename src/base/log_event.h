// LogEvent: one thing that a running process has to say, before it is a line. Whoever has something
// to say is given a TellEvent by constructor; base/log_line.h makes the line, app/ prints it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace onceflow {

enum class LogLevel : std::uint8_t {
  kInfo,   ///< the normal course of things: start, stop, rebalance
  kWarn,   ///< something is in the way and may pass by itself
  kError,  ///< it will not pass by itself
};

struct LogEvent {
  LogLevel level = LogLevel::kInfo;
  std::string stage;  ///< empty: the process as a whole
  std::string event;  ///< one or a few words, always the same for the same kind of event
  std::string text;   ///< for people
};

using TellEvent = std::function<void(const LogEvent&)>;

/// Nobody listens: the simulator and tests that look elsewhere.
inline TellEvent tell_nobody() {
  return [](const LogEvent&) {};
}

}  // namespace onceflow
