#include "io/os/file_descriptor.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>

namespace onceflow::io {

namespace {
ErrorCode to_error_code(int number) {
  switch (number) {
    case ENOENT:
    case ENOTDIR:
      return ErrorCode::kNotFound;
    case EEXIST:
      return ErrorCode::kAlreadyExists;
    case ENOSPC:
    case EDQUOT:
      return ErrorCode::kDiskFull;
    default:
      return ErrorCode::kIo;
  }
}
}  // namespace

std::unexpected<Error> errno_failure(std::string_view verb, const std::string& path, int number) {
  return fail(to_error_code(number),
              fmt::format("cannot {} {}: {}", verb, path, strerrordesc_np(number)));
}

}  // namespace onceflow::io
