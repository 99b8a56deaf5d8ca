// What the operating system knows about this process, for metrics. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/time.h"

namespace onceflow::io {

struct ProcessUsage {
  std::uint64_t resident_bytes = 0;
  Duration cpu_time{};  ///< user and system, all threads
  std::uint64_t open_file_count = 0;
  std::uint64_t open_file_count_max = 0;
};

ProcessUsage process_usage();
/// Lets this process have as many files open as it may give itself; returns how many.
std::size_t raise_open_file_limit();
/// What was freed in pieces that lie between others is given back to the system.
void return_free_memory();
std::int64_t process_id();
/// The calling thread lets others go first from now on.
void lower_thread_priority();
/// Somebody looks at standard output, so a progress bar makes sense.
bool output_is_terminal();

}  // namespace onceflow::io
