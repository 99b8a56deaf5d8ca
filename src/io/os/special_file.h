// What a path leads to where that is not a file that keeps bytes. Stateless.
#pragma once

#include <string>
#include <string_view>

namespace onceflow::io {

/// "a directory", "a device", "a pipe" or "a socket"; empty for a regular file, and where there is
/// nothing yet.
std::string_view special_file(const std::string& path);

}  // namespace onceflow::io
