// The simulator as a command: many seeds, one seed with its log, or every seeded bug in turn.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "sim/run.h"

namespace onceflow::sim {

struct SimulationOptions {
  std::uint64_t seed_count = 100;
  std::uint64_t first_seed = 1;
  /// One seed, replayed, with its log.
  std::optional<std::uint64_t> replayed_seed;
  /// Each seeded bug on in turn: fails if one is not found. With replayed_seed: that one alone.
  bool bugs = false;
  std::string bug;       ///< only this one
  std::string workload;  ///< only this one; else the seed chooses
  /// Seeds run in so many processes at a time, so that one that crashes takes no other along.
  std::size_t process_count = 1;
  /// What runs a seed; only tests put something else here.
  std::function<RunResult(const RunOptions&)> run = run_seed;
  /// Called after each seed, for progress: which, of how many.
  std::function<void(std::uint64_t index, std::uint64_t count)> on_progress;
};

/// Prints by whole lines. Returns 0, or 1 if a promise was broken, a process died, a seeded bug was
/// not found or a seed did not repeat itself, or 2 for a name that is not known.
int run_simulation(const SimulationOptions& options,
                   const std::function<void(std::string_view line)>& print);

}  // namespace onceflow::sim
