#include "app/status_parts.h"

#include <algorithm>

#include "io/os/process.h"

namespace onceflow::app {

console::MetricFamily& Families::find(const std::string& name, const std::string& help,
                                      console::MetricType type) {
  const auto place = std::ranges::find(families_, name, &console::MetricFamily::name);
  if (place != families_.end()) {
    return *place;
  }
  return families_.emplace_back(console::MetricFamily{name, help, type, {}});
}

void Families::add_process() {
  const io::ProcessUsage usage = io::process_usage();
  gauge("process_resident_memory_bytes", "Resident memory of this process")
      .add({}, static_cast<double>(usage.resident_bytes));
  counter("process_cpu_seconds_total", "Processor time of this process, user and system")
      .add({}, to_seconds(usage.cpu_time));
  gauge("process_open_fds", "Open file descriptors")
      .add({}, static_cast<double>(usage.open_file_count));
  gauge("process_max_fds", "File descriptors that may be open")
      .add({}, static_cast<double>(usage.open_file_count_max));
}

}  // namespace onceflow::app
