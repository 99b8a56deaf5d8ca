// Which file a path leads to, through links: two names of one file compare equal, and a file that
// has taken another's name does not. Stateless.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace onceflow::io {

struct FileIdentity {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;

  friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};

/// Nothing if there is no file.
std::optional<FileIdentity> file_identity(const std::string& path);

}  // namespace onceflow::io
