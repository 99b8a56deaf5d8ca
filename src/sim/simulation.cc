#include "sim/simulation.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <sstream>

#include "io/os/process_pool.h"
#include "sim/bugs.h"
#include "sim/workloads/workload.h"

namespace onceflow::sim {

namespace {

using Print = std::function<void(std::string_view)>;

// Every so many seeds one is run twice and must give the same run.
constexpr std::uint64_t kRepeatEvery = 20;
constexpr std::uint64_t kSeedsPerBug = 1000;

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

std::vector<std::string> describe(const std::vector<Finding>& findings) {
  std::vector<std::string> lines;
  lines.reserve(findings.size());
  for (const Finding& finding : findings) {
    lines.push_back(fmt::format("{}: {}", finding.invariant, finding.text));
  }
  return lines;
}

int replay(RunOptions options, const Print& print) {
  options.on_log_line = print;
  const RunResult result = run_seed(options);
  print(fmt::format("seed {}: workload {}, faults: {}", options.seed, result.workload,
                    result.faults));
  print(fmt::format("seed {}: {} events in {:.3f} s of its time, hash {:016x}: {}", options.seed,
                    result.event_count, static_cast<double>(result.virtual_time.count()) / 1e9,
                    result.hash, result.findings.empty() ? "all promises kept" : "broken"));
  for (const std::string& line : describe(result.findings)) {
    print("  " + line);
  }
  return result.findings.empty() ? 0 : 1;
}

// What one seed came to, on its way from the process that ran it: a line with what is counted, and
// one for each complaint.
struct SeedReport {
  std::string workload;
  std::uint64_t event_count = 0;
  std::vector<std::string> complaints;
  bool has_died = false;

  static SeedReport of(const RunResult& result) {
    return {.workload = result.workload,
            .event_count = result.event_count,
            .complaints = describe(result.findings)};
  }
  std::string encode() const {
    return fmt::format("{} {}\n{}", event_count, workload, fmt::join(complaints, "\n"));
  }
  static SeedReport decode(const std::string& text) {
    SeedReport report;
    std::istringstream lines(text);
    lines >> report.event_count >> report.workload;
    std::string line;
    std::getline(lines, line);
    while (std::getline(lines, line)) {
      report.complaints.push_back(line);
    }
    return report;
  }
};

// Of a seed whose process did not come to its end: no more is known than what it left.
SeedReport report_death(const io::JobEnd& end) {
  SeedReport report{.workload = "not known", .has_died = true};
  report.complaints.push_back("its process died: " + end.death);
  std::istringstream words(end.last_words);
  for (std::string line; std::getline(words, line);) {
    report.complaints.push_back("  " + line);
  }
  return report;
}

// Runs job(index) for each seed, in a process that may die; on_report hears of them in order.
template <typename Job, typename OnReport>
Status run_apart(const SimulationOptions& options, std::uint64_t seed_count, const Job& job,
                 const OnReport& on_report) {
  const io::ProcessPoolOptions pool{.process_count = options.process_count};
  return io::run_in_processes(
      pool, seed_count, [&](std::uint64_t index) { return job(index).encode(); },
      [&](std::uint64_t index, const io::JobEnd& end) {
        if (options.on_progress) {
          options.on_progress(index, seed_count);
        }
        return on_report(index,
                         end.death.empty() ? SeedReport::decode(end.output) : report_death(end));
      });
}

int run_seeds(const SimulationOptions& options, const Print& print) {
  const auto run_of = [&](std::uint64_t index) {
    return RunOptions{.seed = options.first_seed + index, .workload = options.workload};
  };
  std::uint64_t failed_count = 0;
  std::uint64_t event_count = 0;
  std::map<std::string, std::uint64_t> count_by_workload;
  const Status ran = run_apart(
      options, options.seed_count,
      [&](std::uint64_t index) {
        const RunResult result = options.run(run_of(index));
        SeedReport report = SeedReport::of(result);
        if (!report.complaints.empty()) {
          report.complaints.insert(report.complaints.begin(), "faults: " + result.faults);
        } else if (index % kRepeatEvery == 0 && options.run(run_of(index)).hash != result.hash) {
          report.complaints.push_back("a second run differs from the first");
        }
        return report;
      },
      [&](std::uint64_t index, const SeedReport& report) {
        event_count += report.event_count;
        ++count_by_workload[report.workload];
        if (!report.complaints.empty()) {
          ++failed_count;
          print(fmt::format("seed {} ({}): broken", run_of(index).seed, report.workload));
          for (const std::string& complaint : report.complaints) {
            print("  " + complaint);
          }
          print("  " + replay_command(run_of(index)));
        }
        return io::Continue::kYes;
      });
  if (!ran) {
    print(ran.error().text);
    return 1;
  }
  std::string workloads;
  for (const auto& [name, count] : count_by_workload) {
    workloads += fmt::format("{}{} {}", workloads.empty() ? "" : ", ", name, count);
  }
  print(fmt::format("{} seeds ({}), {} events: {} failed", options.seed_count, workloads,
                    event_count, failed_count));
  return failed_count == 0 ? 0 : 1;
}

// Whether nothing is found in this run.
bool is_clean(const RunOptions& run, const SimulationOptions& options) {
  bool clean = false;
  const Status ran = run_apart(
      options, 1, [&](std::uint64_t) { return SeedReport::of(options.run(run)); },
      [&](std::uint64_t, const SeedReport& report) {
        clean = report.complaints.empty();
        return io::Continue::kNo;
      });
  return ran && clean;
}

// A process that dies of a seeded bug has not found it: the checkers have to. Nor has a seed that
// is broken without the bug.
bool is_found(const BugKind& kind, const SimulationOptions& options, const Print& print) {
  const auto run_of = [&](std::uint64_t index) {
    return RunOptions{.seed = options.first_seed + index,
                      .workload = std::string(kind.workload),
                      .seeded_bug = kind.bug};
  };
  bool found = false;
  RunOptions finder;
  const Status ran = run_apart(
      options, kSeedsPerBug,
      [&](std::uint64_t index) { return SeedReport::of(options.run(run_of(index))); },
      [&](std::uint64_t index, const SeedReport& report) {
        if (!report.complaints.empty() && !report.has_died) {
          found = true;
          finder = run_of(index);
          print(fmt::format("{}: found after {} seeds, {}", kind.name, index + 1,
                            report.complaints.front()));
          print("  " + replay_command(run_of(index)));
        }
        return found ? io::Continue::kNo : io::Continue::kYes;
      });
  if (!ran) {
    print(ran.error().text);
  } else if (!found) {
    print(fmt::format("{}: NOT FOUND in {} seeds of workload {}; it should break {}", kind.name,
                      kSeedsPerBug, kind.workload, kind.invariant));
  } else if (finder.seeded_bug = SeededBug::kNone; !is_clean(finder, options)) {
    print(fmt::format("{}: seed {} of workload {} is broken without it, too", kind.name,
                      finder.seed, kind.workload));
    return false;
  }
  return found;
}

int run_bugs(const SimulationOptions& options, const Print& print) {
  std::size_t found_count = 0;
  std::size_t looked_for_count = 0;
  for (const BugKind& kind : bug_kinds()) {
    if (options.bug.empty() || options.bug == kind.name) {
      ++looked_for_count;
      found_count += is_found(kind, options, print) ? 1 : 0;
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
    return replay(
        {.seed = *options.replayed_seed, .workload = options.workload, .seeded_bug = seeded_bug},
        print);
  }
  return options.bugs || seeded_bug != SeededBug::kNone ? run_bugs(options, print)
                                                        : run_seeds(options, print);
}

}  // namespace onceflow::sim
