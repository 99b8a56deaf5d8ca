#include "sim/run.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/workloads/workload.h"

namespace onceflow::sim {

namespace {

// How long faults go on, and how long all may take to come to rest without any.
constexpr Duration kFaultsMax = seconds(60);
constexpr Duration kRestMax = seconds(600);

const WorkloadKind& choose(const std::string& name, SimRandom& random) {
  const std::vector<WorkloadKind>& kinds = workload_kinds();
  const WorkloadKind& drawn = kinds[random.below(kinds.size())];
  const auto named =
      std::ranges::find_if(kinds, [&](const WorkloadKind& kind) { return kind.name == name; });
  return named == kinds.end() ? drawn : *named;
}

}  // namespace

RunResult run_seed(const RunOptions& options) {
  SimRandom random(options.seed);
  const WorkloadKind& kind = choose(options.workload, random);
  const Faults faults = Faults::swarm(random);
  RunResult result;
  result.workload = kind.name;
  result.faults = faults.describe();

  Findings findings;
  // The world goes first: what its processes kept points into the workload.
  const std::unique_ptr<Workload> workload = kind.make(findings);
  SimWorld world({.seed = options.seed,
                  .faults = faults,
                  .seeded_bug = options.seeded_bug,
                  .on_log_line = options.on_log_line});
  findings.on_finding([&](const std::string& text) { world.note("CHECK", text); });
  workload->start(world);
  world.start_faults();
  world.run_until([&] { return !findings.empty() || workload->has_done_enough(); }, kFaultsMax);
  world.note("world", "faults stop");
  world.stop_faults();
  workload->settle();
  if (findings.empty() &&
      !world.run_until([&] { return !findings.empty() || workload->is_at_rest(); }, kRestMax)) {
    findings.report("LIVE-1", fmt::format("{} seconds after the last fault something still waits",
                                          std::chrono::duration_cast<seconds>(kRestMax).count()));
  }
  if (findings.empty()) {
    workload->check_end();
  }
  result.findings = findings.all();
  result.hash = world.log().hash();
  result.event_count = world.event_count();
  result.virtual_time = world.now().time_since_epoch();
  return result;
}

}  // namespace onceflow::sim
