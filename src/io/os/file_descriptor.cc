#include "io/os/file_descriptor.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>

namespace onceflow::io {

namespace {
constexpr std::string_view kFileLimits =
    ": it may not grow beyond the limit on files of this process (ulimit -f, systemd's LimitFSIZE) "
    "or of its file system";

ErrorCode to_error_code(int number) {
  switch (number) {
    case ENOENT:
    case ENOTDIR:
      return ErrorCode::kNotFound;
    case EEXIST:
      return ErrorCode::kAlreadyExists;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return ErrorCode::kDiskFull;
    default:
      return ErrorCode::kIo;
  }
}
}  // namespace

std::unexpected<Error> errno_failure(std::string_view verb, const std::string& path, int number) {
  return fail(to_error_code(number),
              fmt::format("cannot {} {}: {}{}", verb, path, strerrordesc_np(number),
                          number == EFBIG ? kFileLimits : ""));
}

}  // namespace onceflow::io
