#include "io/os/file_identity.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cstdlib>
#include <memory>

#include "io/os/process_identity.h"

namespace onceflow::io {
namespace {

// Empty where it leads nowhere.
std::string resolved(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> text(::realpath(path.c_str(), nullptr),
                                                         &std::free);
  return text ? std::string(text.get()) : std::string();
}

}  // namespace

std::optional<FileIdentity> file_identity(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) {
    return std::nullopt;
  }
  return FileIdentity{.device = status.st_dev, .inode = status.st_ino};
}

std::optional<FilePlace> file_place(const std::string& path) {
  std::string file = resolved(path);
  if (file.empty()) {
    const std::size_t slash = path.rfind('/');
    const std::string directory =
        resolved(slash == std::string::npos ? "." : path.substr(0, slash + 1));
    if (directory.empty()) {
      return std::nullopt;
    }
    file = fmt::format("{}/{}", directory == "/" ? "" : directory,
                       slash == std::string::npos ? path : path.substr(slash + 1));
  }
  const std::size_t slash = file.rfind('/');
  const std::optional<FileIdentity> directory = file_identity(file.substr(0, slash + 1));
  if (!directory) {
    return std::nullopt;
  }
  return FilePlace{
      .path = file,
      .directory = fmt::format("{}/{}/{}", boot_id(), directory->device, directory->inode),
      .name = file.substr(slash + 1)};
}

}  // namespace onceflow::io
