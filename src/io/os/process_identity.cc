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

// The 22nd field of /proc/PID/stat; the second is a name in brackets that may hold anything.
std::string start_of(std::string_view pid) {
  const std::string stat = read_small(fmt::format("/proc/{}/stat", pid));
  std::size_t at = stat.rfind(')');
  if (at == std::string::npos) {
    return {};
  }
  constexpr int kFieldsAfterName = 20;
  for (int field = 0; field < kFieldsAfterName; ++field) {
    at = stat.find(' ', at + 1);
    if (at == std::string::npos) {
      return {};
    }
  }
  return stat.substr(at + 1, stat.find(' ', at + 1) - at - 1);
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
  return fmt::format("pid={} started={} host={} boot={} namespace={}", pid, start_of(pid),
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
  return start_of(pid) == started ? ProcessLife::kAlive : ProcessLife::kDead;
}

std::string describe_process(std::string_view identity) {
  const std::string pid = field_of(identity, "pid");
  const std::string host = field_of(identity, "host");
  return pid.empty() || host.empty() ? std::string(identity)
                                     : fmt::format("process {} on {}", pid, host);
}

}  // namespace onceflow::io
