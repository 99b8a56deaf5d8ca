// One run of the simulator: a seed, from start to verdict.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/seeded_bug.h"
#include "base/time.h"
#include "sim/checkers/findings.h"

namespace onceflow::sim {

struct RunOptions {
  std::uint64_t seed = 0;
  /// Of workload_kinds(); empty: the seed chooses.
  std::string workload;
  SeededBug seeded_bug = SeededBug::kNone;
  /// Told every line of the run's log, when it happens.
  std::function<void(std::string_view line)> on_log_line;
};

struct RunResult {
  std::string workload;
  std::string faults;
  std::vector<Finding> findings;
  std::uint64_t hash = 0;  ///< of every event; the same for the same options
  std::uint64_t event_count = 0;
  Duration virtual_time{};
};

RunResult run_seed(const RunOptions& options);

}  // namespace onceflow::sim
