#include "io/os/special_file.h"

#include <sys/stat.h>

namespace onceflow::io {

std::string_view special_file(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0 || S_ISREG(status.st_mode)) {
    return {};
  }
  if (S_ISDIR(status.st_mode)) {
    return "a directory";
  }
  if (S_ISFIFO(status.st_mode)) {
    return "a pipe";
  }
  return S_ISSOCK(status.st_mode) ? "a socket" : "a device";
}

}  // namespace onceflow::io
