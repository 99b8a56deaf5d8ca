#include "io/os/file_identity.h"

#include <sys/stat.h>

namespace onceflow::io {

std::optional<FileIdentity> file_identity(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) {
    return std::nullopt;
  }
  return FileIdentity{.device = status.st_dev, .inode = status.st_ino};
}

}  // namespace onceflow::io
