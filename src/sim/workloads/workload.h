// Workload: what a simulated run does, and what must be true of it. Lives outside of the simulated
// processes: it is the world's memory of what was asked and answered, which no crash takes away.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "sim/checkers/findings.h"
#include "sim/world/sim_world.h"

namespace onceflow::sim {

class Workload {
 public:
  virtual ~Workload() = default;

  /// Adds its nodes. The world outlives the workload's use of it; the workload outlives the
  /// world's.
  virtual void start(SimWorld& world) = 0;
  /// Enough has happened; faults may stop.
  virtual bool has_done_enough() const = 0;
  /// Faults have stopped: begin nothing new.
  virtual void settle() = 0;
  /// All that was begun has come to an end.
  virtual bool is_at_rest() const = 0;
  /// At rest: what must be true in the end.
  virtual void check_end() = 0;
};

struct WorkloadKind {
  std::string_view name;
  std::unique_ptr<Workload> (*make)(Findings& findings);
};

/// All of them; a seed chooses one.
const std::vector<WorkloadKind>& workload_kinds();

}  // namespace onceflow::sim
