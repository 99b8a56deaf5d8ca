// StageStatus: what a stage tells about itself. Written by the stage on its worker's thread, read
// there by the status page.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/histogram.h"
#include "base/ids.h"
#include "base/time.h"

namespace onceflow::engine {

struct StageStatus {
  enum class State {
    kStarting,
    kWaitingForPartitions,
    kRecovering,  ///< taking over, reading committed positions, restoring state
    kRunning,
    kStopped,
    kFailed,
  };
  struct Position {
    Offset committed = kNoOffset;
    Offset end = kNoOffset;  ///< high watermark, or last stable offset, as last heard
  };

  std::string stage;
  std::string worker;
  State state = State::kStarting;
  std::uint64_t records_in = 0;
  std::uint64_t records_out = 0;
  std::uint64_t commits = 0;
  std::uint64_t aborts = 0;
  std::uint64_t recoveries = 0;
  std::uint64_t in_doubt = 0;  ///< commits whose answer was lost
  std::uint64_t fenced = 0;
  Histogram commit_latency;
  std::optional<MonotonicTime> transaction_open_since;
  std::map<TopicPartition, Position> positions;
  std::uint64_t state_keys = 0;
  std::string last_error;
};

const char* to_string(StageStatus::State state);

}  // namespace onceflow::engine
