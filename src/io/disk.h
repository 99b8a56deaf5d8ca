// Disk: what a file system promises, and no more.
//
// Only sync promises anything. After a crash of the machine, bytes written since the last completed
// sync of their file may be there, gone, or torn at any 512-byte boundary, in any order; a file
// created, renamed or removed since the last sync_directory of its folder may or may not be so.
// After a crash of the process alone everything written is there. A failed sync is never retried:
// what it left on disk is unknown.
//
// Paths are relative to nothing: whoever owns a Disk passes whole paths. Members that return at
// once work through the page cache; those that take a callback wait for the device and call back on
// the scheduler's thread, in no promised order among different files.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/callback.h"
#include "base/result.h"
#include "base/task.h"

namespace onceflow::io {

/// write_durable takes offsets, sizes and addresses in multiples of this.
inline constexpr std::size_t kDiskBlockBytes = 4096;

/// Owned memory, aligned and sized in disk blocks; zeroed.
class BlockBuffer {
 public:
  explicit BlockBuffer(std::size_t size_bytes);
  std::byte* data() { return data_.get(); }
  const std::byte* data() const { return data_.get(); }
  std::size_t size() const { return size_bytes_; }

 private:
  struct Free {
    void operator()(std::byte* data) const;
  };
  std::unique_ptr<std::byte[], Free> data_;
  std::size_t size_bytes_;
};

class File {
 public:
  virtual ~File() = default;

  /// Reads up to destination.size() bytes; fewer only at the end of the file. Returns how many.
  virtual Result<std::size_t> read_at(std::uint64_t offset, MutableByteView destination) = 0;
  /// Writes all through the page cache, growing the file if need be. Promises nothing after a crash
  /// of the machine.
  virtual Status write_at(std::uint64_t offset, ByteView bytes) = 0;
  virtual Result<std::uint64_t> size() = 0;
  /// Gives back what reserve() has set aside, too.
  virtual Status truncate(std::uint64_t size_bytes) = 0;
  /// Sets aside room on the device up to `end_bytes` without changing the size: writing there takes
  /// half the time, and what is written lies together. A hint: where it cannot be done nothing
  /// happens. Whoever does not need it any more truncates to the size.
  virtual void reserve(std::uint64_t end_bytes) = 0;
  /// Waits on the calling thread until all that was written is durable. For start and recovery.
  virtual Status sync() = 0;
  /// As sync, without blocking the scheduler.
  virtual void async_sync(Callback<void(Status)> callback) = 0;
  /// Writes whole blocks and calls back when they are durable. `bytes` stays valid until then.
  /// Calls on one file complete in the order they were made.
  virtual void async_write_durable(std::uint64_t offset, ByteView bytes,
                                   Callback<void(Status)> callback) = 0;
  /// Grows the file to size_bytes of real, written zeroes, durable when it calls back: later
  /// write_durable calls inside change no metadata (a growing file syncs 40 times slower).
  virtual void async_fill_with_zeros(std::uint64_t size_bytes, Callback<void(Status)> callback) = 0;

  Task<Status> sync_later();
};

/// Held as long as it lives; the operating system releases it when the process ends in any way.
class DirectoryLock {
 public:
  virtual ~DirectoryLock() = default;
};

enum class OpenMode {
  kRead,       ///< must exist
  kReadWrite,  ///< must exist
  kCreate,     ///< read and write; created empty if not there
  kCreateNew,  ///< read and write; kAlreadyExists if there
};

struct DirectoryEntry {
  std::string name;
  bool is_directory = false;
};

class Disk {
 public:
  virtual ~Disk() = default;

  virtual Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) = 0;
  virtual Result<bool> exists(const std::string& path) = 0;
  /// Sorted by name, without "." and "..".
  virtual Result<std::vector<DirectoryEntry>> list(const std::string& directory) = 0;
  /// With its parents; no error if it is there.
  virtual Status make_directory(const std::string& path) = 0;
  /// Replaces `to` atomically.
  virtual Status rename(const std::string& from, const std::string& to) = 0;
  /// A file or an empty folder; kNotFound if it is not there.
  virtual Status remove(const std::string& path) = 0;
  /// Makes creations, renames and removals inside durable. Waits for the device on the calling
  /// thread: for start and recovery.
  virtual Status sync_directory(const std::string& path) = 0;
  /// As sync_directory, without blocking the scheduler.
  virtual void async_sync_directory(const std::string& path, Callback<void(Status)> callback) = 0;
  Task<Status> sync_directory_later(std::string path);
  /// kLocked, with the holder's process id in the text where it is known, if another has it.
  virtual Result<std::unique_ptr<DirectoryLock>> lock_directory(const std::string& path) = 0;
  virtual Result<std::uint64_t> free_bytes(const std::string& path) = 0;
};

/// Reads a whole file.
Result<Buffer> read_file(Disk& disk, const std::string& path);
/// Replaces a file atomically and durably: writes `path`.tmp, syncs it, renames it, syncs the
/// folder.
Status replace_file(Disk& disk, const std::string& path, ByteView bytes);
/// The folder part of a path; "." if it has none.
std::string parent_directory(const std::string& path);

}  // namespace onceflow::io
