// ProcessPool: jobs in child processes, so that one that crashes or hangs takes no other along.
// Used by the simulator's runner, from a thread that is the only one of its process.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/result.h"
#include "base/time.h"

namespace onceflow::io {

struct ProcessPoolOptions {
  std::size_t process_count = 1;
  /// So many jobs, one after the other, before a child makes room for a fresh one.
  std::uint64_t jobs_per_process = 8;
  Duration job_time_max = std::chrono::minutes(5);
};

struct JobEnd {
  std::string output;      ///< what the job returned; empty if it did not come to its end
  std::string death;       ///< how its process ended in the middle of it; empty if it did not
  std::string last_words;  ///< with death: what the process wrote to standard error
};

enum class Continue { kYes, kNo };

/// Runs job(index) for every index below job_count, each in a child that begins as a copy of this
/// process, and calls on_end for each in order of index, here. Returns when all have ended, or
/// on_end says kNo; no child is left. What children that did not die wrote to standard error goes
/// there. kIo: no more processes can be started.
Status run_in_processes(const ProcessPoolOptions& options, std::uint64_t job_count,
                        const std::function<std::string(std::uint64_t index)>& job,
                        const std::function<Continue(std::uint64_t index, JobEnd end)>& on_end);

/// How many of them run at the same time on this machine.
std::size_t processor_count();

}  // namespace onceflow::io
