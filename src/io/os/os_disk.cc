#include "io/os/os_disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "io/os/file_descriptor.h"
#include "io/os/os_file.h"

namespace onceflow::io {

namespace {

class OsDirectoryLock final : public DirectoryLock {
 public:
  explicit OsDirectoryLock(FileDescriptor descriptor) : descriptor_(std::move(descriptor)) {}

 private:
  FileDescriptor descriptor_;
};

int to_flags(OpenMode mode) {
  switch (mode) {
    case OpenMode::kRead:
      return O_RDONLY;
    case OpenMode::kReadWrite:
      return O_RDWR;
    case OpenMode::kCreate:
      return O_RDWR | O_CREAT;
    case OpenMode::kCreateNew:
      return O_RDWR | O_CREAT | O_EXCL;
  }
  return O_RDONLY;
}

bool is_directory(const std::string& path) {
  struct stat status{};
  return stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

Status sync_folder(const std::string& path) {
  const FileDescriptor descriptor(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!descriptor.is_open()) {
    return errno_failure("open the folder", path);
  }
  if (fsync(descriptor.number()) != 0) {
    return errno_failure("sync the folder", path);
  }
  return {};
}

}  // namespace

void OsDisk::shut_down() {
  durable_writes_.shut_down();
  filling_.shut_down();
  syncs_.shut_down();
}

Result<std::unique_ptr<File>> OsDisk::open(const std::string& path, OpenMode mode) {
  FileDescriptor descriptor(
      ::open(path.c_str(), to_flags(mode) | O_CLOEXEC, directory_mode_ & 0666));
  if (!descriptor.is_open()) {
    return errno_failure("open", path);
  }
  return std::make_unique<OsFile>(scheduler_, OsFile::Lanes{durable_writes_, filling_, syncs_},
                                  path, std::move(descriptor));
}

Result<bool> OsDisk::exists(const std::string& path) {
  struct stat status{};
  if (stat(path.c_str(), &status) == 0) {
    return true;
  }
  if (errno == ENOENT || errno == ENOTDIR) {
    return false;
  }
  return errno_failure("look for", path);
}

Result<std::vector<DirectoryEntry>> OsDisk::list(const std::string& directory) {
  DIR* const stream = opendir(directory.c_str());
  if (stream == nullptr) {
    return errno_failure("list", directory);
  }
  std::vector<DirectoryEntry> entries;
  errno = 0;
  while (const dirent* const entry = readdir(stream)) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") {
      const bool is_folder = entry->d_type == DT_UNKNOWN || entry->d_type == DT_LNK
                                 ? is_directory(fmt::format("{}/{}", directory, name))
                                 : entry->d_type == DT_DIR;
      entries.push_back({name, is_folder});
    }
    errno = 0;
  }
  const int read_error = errno;
  closedir(stream);
  if (read_error != 0) {
    errno = read_error;
    return errno_failure("list", directory);
  }
  std::ranges::sort(entries, {}, &DirectoryEntry::name);
  return entries;
}

Status OsDisk::make_directory(const std::string& path) {
  for (std::size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    const std::string part = path.substr(0, slash);
    if (mkdir(part.c_str(), directory_mode_) != 0 && !(errno == EEXIST && is_directory(part))) {
      return errno_failure("make the folder", part);
    }
    if (slash == std::string::npos) {
      return {};
    }
  }
}

Status OsDisk::rename(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) {
    return errno_failure("rename", fmt::format("{} to {}", from, to));
  }
  return {};
}

Status OsDisk::remove(const std::string& path) {
  if (std::remove(path.c_str()) != 0) {
    return errno_failure("remove", path);
  }
  return {};
}

Status OsDisk::sync_directory(const std::string& path) { return sync_folder(path); }

void OsDisk::async_sync_directory(const std::string& path, Callback<void(Status)> callback) {
  // Called and destroyed on the scheduler's thread.
  auto then = std::make_shared<Callback<void(Status)>>(std::move(callback));
  syncs_.add([&scheduler = scheduler_, path, then = std::move(then)]() mutable {
    Status status = sync_folder(path);
    scheduler.post_from_any_thread([then = std::move(then), status = std::move(status)]() mutable {
      (*then)(std::move(status));
    });
  });
}

Result<std::unique_ptr<DirectoryLock>> OsDisk::lock_directory(const std::string& path) {
  const std::string lock_path = path + "/LOCK";
  FileDescriptor descriptor(
      ::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, directory_mode_ & 0666));
  if (!descriptor.is_open()) {
    return errno_failure("open", lock_path);
  }
  if (flock(descriptor.number(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) {
      return errno_failure("lock", lock_path);
    }
    char holder[24] = {};
    const ssize_t count = pread(descriptor.number(), holder, sizeof holder - 1, 0);
    std::string_view text(holder, count > 0 ? static_cast<std::size_t>(count) : 0);
    text = text.substr(0, text.find('\n'));
    return fail(ErrorCode::kLocked,
                fmt::format("{} is in use by another process{}", path,
                            text.empty() ? "" : fmt::format(" (process id {})", text)));
  }
  // The lock is what counts; the number in the file is for whoever wonders.
  const std::string text = fmt::format("{}\n", getpid());
  if (ftruncate(descriptor.number(), 0) != 0 ||
      pwrite(descriptor.number(), text.data(), text.size(), 0) !=
          static_cast<ssize_t>(text.size())) {
    return errno_failure("write", lock_path);
  }
  return std::make_unique<OsDirectoryLock>(std::move(descriptor));
}

Result<std::uint64_t> OsDisk::free_bytes(const std::string& path) {
  struct statvfs status{};
  if (statvfs(path.c_str(), &status) != 0) {
    return errno_failure("ask for the free space of", path);
  }
  return static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize;
}

Result<std::uint32_t> OsDisk::mode(const std::string& path) {
  struct stat status{};
  if (stat(path.c_str(), &status) != 0) {
    return errno_failure("ask for the mode of", path);
  }
  return static_cast<std::uint32_t>(status.st_mode) & 0777U;
}

}  // namespace onceflow::io
