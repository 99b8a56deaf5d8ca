#include "io/os/process.h"

#include <dirent.h>
#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>

namespace onceflow::io {

namespace {

std::uint64_t resident_bytes() {
  std::FILE* const file = std::fopen("/proc/self/statm", "re");
  if (file == nullptr) {
    return 0;
  }
  unsigned long total_pages = 0;
  unsigned long resident_pages = 0;
  const int read_count = std::fscanf(file, "%lu %lu", &total_pages, &resident_pages);
  std::fclose(file);
  return read_count == 2 ? resident_pages * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE)) : 0;
}

std::uint64_t open_file_count() {
  DIR* const directory = opendir("/proc/self/fd");
  if (directory == nullptr) {
    return 0;
  }
  std::uint64_t count = 0;
  while (readdir(directory) != nullptr) {
    ++count;
  }
  closedir(directory);
  // Not counted: ".", ".." and the one that reads.
  return count > 3 ? count - 3 : 0;
}

Duration to_duration(const timeval& time) {
  return seconds(time.tv_sec) + microseconds(time.tv_usec);
}

}  // namespace

ProcessUsage process_usage() {
  ProcessUsage usage;
  usage.resident_bytes = resident_bytes();
  usage.open_file_count = open_file_count();
  rusage resources{};
  if (getrusage(RUSAGE_SELF, &resources) == 0) {
    usage.cpu_time = to_duration(resources.ru_utime) + to_duration(resources.ru_stime);
  }
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    usage.open_file_count_max = files.rlim_cur;
  }
  return usage;
}

std::size_t raise_open_file_limit() {
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) {
    return 0;
  }
  const rlimit raised{.rlim_cur = files.rlim_max, .rlim_max = files.rlim_max};
  return setrlimit(RLIMIT_NOFILE, &raised) == 0 ? raised.rlim_cur : files.rlim_cur;
}

void return_free_memory() { malloc_trim(0); }

void lower_thread_priority() {
  constexpr int kBackgroundNiceness = 10;
  // On Linux niceness belongs to threads, and 0 is the calling one. If refused, nothing is lost.
  setpriority(PRIO_PROCESS, 0, kBackgroundNiceness);
}

bool output_is_terminal() { return isatty(STDOUT_FILENO) == 1; }

std::int64_t process_id() { return getpid(); }

}  // namespace onceflow::io
