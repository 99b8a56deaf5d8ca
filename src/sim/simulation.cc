#include "sim/simulation.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "sim/bugs.h"
#include "sim/run.h"
#include "sim/workloads/workload.h"

namespace onceflow::sim {

namespace {

using Print = std::function<void(std::string_view)>;

// Every so many seeds one is run twice and must give the same run.
constexpr std::uint64_t kRepeatEvery = 20;
constexpr std::uint64_t kSeedsPerBug = 400;

std::string replay_command(const RunOptions& options) {
  std::string command = fmt::format("onceflow sim --seed {}", options.seed);
  if (!options.workload.empty()) {
    command += " --workload " + options.workload;
  }
  for (const BugKind& kind : bug_kinds()) {
    if (kind.bug == options.seeded_bug) {
      command += fmt::format(" --bug {}", kind.name);
    }
  }
  return command;
}

void print_findings(const RunResult& result, const Print& print) {
  for (const Finding& finding : result.findings) {
    print(fmt::format("  {}: {}", finding.invariant, finding.text));
  }
}

int replay(const RunOptions& options, const Print& print) {
  const RunResult result = run_seed(options);
  for (const std::string& line : result.log) {
    print(line);
  }
  print(fmt::format("seed {}: workload {}, faults: {}", options.seed, result.workload,
                    result.faults));
  print(fmt::format("seed {}: {} events in {:.3f} s of its time, hash {:016x}: {}", options.seed,
                    result.event_count, static_cast<double>(result.virtual_time.count()) / 1e9,
                    result.hash, result.findings.empty() ? "all promises kept" : "broken"));
  print_findings(result, print);
  return result.findings.empty() ? 0 : 1;
}

int run_seeds(const SimulationOptions& options, const Print& print) {
  std::uint64_t failed_count = 0;
  std::uint64_t event_count = 0;
  std::map<std::string, std::uint64_t> count_by_workload;
  for (std::uint64_t index = 0; index < options.seed_count; ++index) {
    if (options.on_progress) {
      options.on_progress(index, options.seed_count);
    }
    const RunOptions run{.seed = options.first_seed + index, .workload = options.workload};
    const RunResult result = run_seed(run);
    event_count += result.event_count;
    ++count_by_workload[result.workload];
    bool has_failed = !result.findings.empty();
    if (has_failed) {
      print(fmt::format("seed {} ({}): broken; faults: {}", run.seed, result.workload,
                        result.faults));
      print_findings(result, print);
    } else if (index % kRepeatEvery == 0 && run_seed(run).hash != result.hash) {
      print(fmt::format("seed {} ({}): a second run differs from the first", run.seed,
                        result.workload));
      has_failed = true;
    }
    if (has_failed) {
      ++failed_count;
      print("  " + replay_command(run));
    }
  }
  std::string workloads;
  for (const auto& [name, count] : count_by_workload) {
    workloads += fmt::format("{}{} {}", workloads.empty() ? "" : ", ", name, count);
  }
  print(fmt::format("{} seeds ({}), {} events: {} failed", options.seed_count, workloads,
                    event_count, failed_count));
  return failed_count == 0 ? 0 : 1;
}

int run_bugs(const SimulationOptions& options, const Print& print) {
  std::size_t found_count = 0;
  std::size_t looked_for_count = 0;
  for (const BugKind& kind : bug_kinds()) {
    if (!options.bug.empty() && options.bug != kind.name) {
      continue;
    }
    ++looked_for_count;
    bool is_found = false;
    for (std::uint64_t index = 0; index < kSeedsPerBug && !is_found; ++index) {
      if (options.on_progress) {
        options.on_progress(index, kSeedsPerBug);
      }
      const RunOptions run{.seed = options.first_seed + index,
                           .workload = std::string(kind.workload),
                           .seeded_bug = kind.bug};
      const RunResult result = run_seed(run);
      if (!result.findings.empty()) {
        is_found = true;
        print(fmt::format("{}: found after {} seeds, {}: {}", kind.name, index + 1,
                          result.findings.front().invariant, result.findings.front().text));
        print("  " + replay_command(run));
      }
    }
    found_count += is_found ? 1 : 0;
    if (!is_found) {
      print(fmt::format("{}: NOT FOUND in {} seeds of workload {}; it should break {}", kind.name,
                        kSeedsPerBug, kind.workload, kind.invariant));
    }
  }
  print(fmt::format("{} of {} seeded bugs found", found_count, looked_for_count));
  return found_count == looked_for_count ? 0 : 1;
}

}  // namespace

int run_simulation(const SimulationOptions& options, const Print& print) {
  const auto& workloads = workload_kinds();
  if (!options.workload.empty() && std::ranges::none_of(workloads, [&](const WorkloadKind& kind) {
        return kind.name == options.workload;
      })) {
    print(fmt::format("there is no workload '{}'", options.workload));
    return 2;
  }
  SeededBug seeded_bug = SeededBug::kNone;
  if (!options.bug.empty()) {
    const auto found = std::ranges::find_if(
        bug_kinds(), [&](const BugKind& kind) { return kind.name == options.bug; });
    if (found == bug_kinds().end()) {
      print(fmt::format("there is no seeded bug '{}'", options.bug));
      return 2;
    }
    seeded_bug = found->bug;
  }
  if (options.replayed_seed) {
    return replay({.seed = *options.replayed_seed,
                   .workload = options.workload,
                   .seeded_bug = seeded_bug,
                   .keeps_log = true},
                  print);
  }
  return options.bugs || seeded_bug != SeededBug::kNone ? run_bugs(options, print)
                                                        : run_seeds(options, print);
}

}  // namespace onceflow::sim
