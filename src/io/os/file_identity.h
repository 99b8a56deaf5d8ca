// Which file a path leads to, through links: two names of one file compare equal, and a file that
// has taken another's name does not; and where a file is, whether it is there yet or not.
// Stateless.
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

struct FilePlace {
  std::string path;       ///< absolute, through links
  std::string directory;  ///< "<boot id>/<device>/<inode>" of the directory that it lies in
  std::string name;       ///< in that directory
};
/// Two processes with one directory and one name have one file, and the same files beside it.
/// Nothing if its directory is not there.
std::optional<FilePlace> file_place(const std::string& path);

}  // namespace onceflow::io
