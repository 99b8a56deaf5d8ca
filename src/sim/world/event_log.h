// EventLog: what happened in a simulated run: a running hash of everything, which two runs of one
// seed share, and lines for people, kept on request.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace onceflow::sim {

class EventLog {
 public:
  explicit EventLog(bool keeps_lines) : keeps_lines_(keeps_lines) {}

  void mix(std::uint64_t number) {
    hash_ = (hash_ ^ number) * 0x9e3779b97f4a7c15;
    hash_ ^= hash_ >> 29;
  }
  /// A line with its time and who it is about.
  void note(MonotonicTime time, std::string_view who, std::string_view what);

  std::uint64_t hash() const { return hash_; }
  bool keeps_lines() const { return keeps_lines_; }
  const std::vector<std::string>& lines() const { return lines_; }

 private:
  std::uint64_t hash_ = 0x6f6e6365;
  bool keeps_lines_;
  std::vector<std::string> lines_;
};

}  // namespace onceflow::sim
