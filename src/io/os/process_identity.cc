#include "io/os/process_identity.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "io/os/file_descriptor.h"

namespace onceflow::io {
namespace {

// Small files of /proc; empty if there is none.
std::string read_small(const std::string& path) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::array<char, 1024> bytes{};
  const ssize_t size = !file.is_open() ? -1 : ::read(file.number(), bytes.data(), bytes.size());
  return size <= 0 ? std::string() : std::string(bytes.data(), static_cast<std::size_t>(size));
}

/// What /proc/PID/stat says of a process.
struct ProcessStat {
  std::string started;  ///< in clock ticks since the machine's start; empty: there is no such one
  bool has_ended =
      false;  ///< a zombie: nothing of it runs or holds a file, only its status is left
};

// The second field is a name in brackets that may hold anything; those after it are counted from
// it. While another thread of a killed process still writes, the first one may be a zombie already.
ProcessStat stat_of(std::string_view pid) {
  constexpr std::size_t kState = 0;
  constexpr std::size_t kThreadCount = 17;
  constexpr std::size_t kStarted = 19;
  const std::string stat = read_small(fmt::format("/proc/{}/stat", pid));
  std::size_t at = stat.rfind(')');
  std::array<std::string, kStarted + 1> fields;
  for (std::string& field : fields) {
    at = at == std::string::npos ? at : stat.find(' ', at);
    if (at == std::string::npos) {
      return {};
    }
    ++at;
    field = stat.substr(at, stat.find(' ', at) - at);
  }
  const bool is_zombie = fields[kState] == "Z" || fields[kState] == "X";
  return {fields[kStarted],
          is_zombie && (fields[kThreadCount] == "1" || fields[kThreadCount] == "0")};
}

std::string pid_namespace() {
  std::array<char, 128> target{};
  const ssize_t size = ::readlink("/proc/self/ns/pid", target.data(), target.size());
  return size <= 0 ? std::string() : std::string(target.data(), static_cast<std::size_t>(size));
}

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? std::string(name.data()) : "unknown";
}

std::string field_of(std::string_view identity, std::string_view name) {
  const std::string wanted = fmt::format("{}=", name);
  for (std::string_view rest = identity; !rest.empty();) {
    const std::size_t end = std::min(rest.find(' '), rest.size());
    if (rest.substr(0, end).starts_with(wanted)) {
      return std::string(rest.substr(wanted.size(), end - wanted.size()));
    }
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return {};
}

}  // namespace

std::string boot_id() {
  std::string text = read_small("/proc/sys/kernel/random/boot_id");
  std::erase_if(text, [](char letter) { return letter == '\n' || letter == ' '; });
  return text;
}

std::string process_identity() {
  const std::string pid = std::to_string(::getpid());
  return fmt::format("pid={} started={} host={} boot={} namespace={}", pid, stat_of(pid).started,
                     host_name(), boot_id(), pid_namespace());
}

ProcessLife process_life(std::string_view identity) {
  const std::string pid = field_of(identity, "pid");
  const std::string started = field_of(identity, "started");
  const std::string boot = field_of(identity, "boot");
  const std::string space = field_of(identity, "namespace");
  const bool is_number = !pid.empty() && std::ranges::all_of(pid, [](char letter) {
    return letter >= '0' && letter <= '9';
  });
  if (!is_number || started.empty() || boot.empty() || space.empty() || boot != boot_id() ||
      space != pid_namespace()) {
    return ProcessLife::kUnknown;
  }
  const ProcessStat found = stat_of(pid);
  return found.started == started && !found.has_ended ? ProcessLife::kAlive : ProcessLife::kDead;
}

std::string describe_process(std::string_view identity) {
  const std::string pid = field_of(identity, "pid");
  const std::string host = field_of(identity, "host");
  return pid.empty() || host.empty() ? std::string(identity)
                                     : fmt::format("process {} on {}", pid, host);
}

}  // namespace onceflow::io
