// EventLog: what happened in a simulated run: a running hash of everything, which two runs of one
// seed share, and lines for people, told as they come.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "base/time.h"

namespace onceflow::sim {

class EventLog {
 public:
  using LineListener = std::function<void(std::string_view line)>;

  /// `on_line` may be empty.
  explicit EventLog(LineListener on_line) : on_line_(std::move(on_line)) {}

  void mix(std::uint64_t number) {
    hash_ = (hash_ ^ number) * 0x9e3779b97f4a7c15;
    hash_ ^= hash_ >> 29;
  }
  /// A line with its time and who it is about.
  void note(MonotonicTime time, std::string_view who, std::string_view what);

  std::uint64_t hash() const { return hash_; }

 private:
  std::uint64_t hash_ = 0x6f6e6365;
  LineListener on_line_;
};

}  // namespace onceflow::sim
