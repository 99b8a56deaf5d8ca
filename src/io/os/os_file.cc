#include "io/os/os_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

namespace onceflow::io {

namespace {

// One piece of zeros; between two of them a file that goes can stop its filling.
constexpr std::size_t kZeroPieceBytes = std::size_t{1} << 20;

// How much a sync in the background hands to the device at a time. Durable writes wait behind what
// it has been given: 17 ms behind 35 MB, measured.
constexpr std::uint64_t kWriteBackPieceBytes = std::uint64_t{1} << 20;

// Returns 0, or the number of the error.
int write_all(int descriptor, std::uint64_t offset, ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t count =
        pwrite(descriptor, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0) {
      if (errno == EINTR) {
        continue;
      }
      return errno;
    }
    offset += static_cast<std::uint64_t>(count);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return 0;
}

Status to_write_status(int error_number, const std::string& path) {
  if (error_number != 0) {
    return errno_failure("write", path, error_number);
  }
  return {};
}

Status sync_data(int descriptor, const std::string& path) {
  if (fdatasync(descriptor) != 0) {
    return errno_failure("sync", path);
  }
  return {};
}

// Writes the page cache's changes of a range to the device, a piece at a time, so that durable
// writes find their way between. It saves no sync, only that the sync has to do it at one stroke;
// so whatever fails is left to the sync.
void write_back_in_pieces(int descriptor, std::uint64_t begin, std::uint64_t end) {
  constexpr unsigned kWriteAndWait =
      SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
  for (; begin < end; begin += kWriteBackPieceBytes) {
    const std::uint64_t count = std::min(end - begin, kWriteBackPieceBytes);
    if (sync_file_range(descriptor, static_cast<off_t>(begin), static_cast<off_t>(count),
                        kWriteAndWait) != 0) {
      return;
    }
  }
}

Result<std::uint64_t> size_of(int descriptor, const std::string& path) {
  struct stat status{};
  if (fstat(descriptor, &status) != 0) {
    return errno_failure("get the size of", path);
  }
  return static_cast<std::uint64_t>(status.st_size);
}

// A second descriptor of the same file, whatever its name is by now, that goes around the page
// cache; not open where the file system has none.
FileDescriptor open_direct(int descriptor, int flags) {
  const std::string path = "/proc/self/fd/" + std::to_string(descriptor);
  return FileDescriptor(::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_DIRECT | flags));
}

}  // namespace

// Its callback is called and destroyed on the scheduler's thread.
struct OsFile::Job {
  std::shared_ptr<Shared> shared;
  Callback<void(Status)> callback;
};

OsFile::OsFile(Scheduler& scheduler, Lanes lanes, std::string path, FileDescriptor descriptor)
    : scheduler_(scheduler), lanes_(lanes), shared_(std::make_shared<Shared>()) {
  shared_->path = std::move(path);
  shared_->descriptor = std::move(descriptor);
}

OsFile::~OsFile() {
  shared_->closed = true;
  // A job that runs now may read memory of whoever destroys this file: wait for it.
  const std::scoped_lock wait_for_jobs(shared_->writing, shared_->in_background);
}

Result<std::size_t> OsFile::read_at(std::uint64_t offset, MutableByteView destination) {
  std::size_t total_bytes = 0;
  while (!destination.empty()) {
    const ssize_t count = pread(shared_->descriptor.number(), destination.data(),
                                destination.size(), static_cast<off_t>(offset));
    if (count < 0) {
      if (errno == EINTR) {
        continue;
      }
      return errno_failure("read", shared_->path);
    }
    if (count == 0) {
      break;
    }
    offset += static_cast<std::uint64_t>(count);
    total_bytes += static_cast<std::size_t>(count);
    destination = destination.subspan(static_cast<std::size_t>(count));
  }
  return total_bytes;
}

Status OsFile::write_at(std::uint64_t offset, ByteView bytes) {
  unsynced_begin_ = std::min(unsynced_begin_, offset);
  unsynced_end_ = std::max(unsynced_end_, offset + bytes.size());
  return to_write_status(write_all(shared_->descriptor.number(), offset, bytes), shared_->path);
}

Result<std::uint64_t> OsFile::size() {
  return size_of(shared_->descriptor.number(), shared_->path);
}

Status OsFile::truncate(std::uint64_t size_bytes) {
  if (ftruncate(shared_->descriptor.number(), static_cast<off_t>(size_bytes)) != 0) {
    return errno_failure("truncate", shared_->path);
  }
  return {};
}

void OsFile::reserve(std::uint64_t end_bytes) {
  const auto size_bytes = size_of(shared_->descriptor.number(), shared_->path);
  if (size_bytes && *size_bytes < end_bytes) {
    // Not every file system can; the disk may be nearly full: then writing says so, or finds room.
    static_cast<void>(fallocate(shared_->descriptor.number(), FALLOC_FL_KEEP_SIZE,
                                static_cast<off_t>(*size_bytes),
                                static_cast<off_t>(end_bytes - *size_bytes)));
  }
}

Status OsFile::sync() { return sync_data(shared_->descriptor.number(), shared_->path); }

void OsFile::async_sync(Callback<void(Status)> callback) {
  auto job = std::make_shared<Job>(Job{shared_, std::move(callback)});
  const std::uint64_t begin = std::exchange(unsynced_begin_, kNothingUnsynced);
  const std::uint64_t end = std::exchange(unsynced_end_, 0);
  const bool in_pieces = lanes_.durable_writes.is_used();
  lanes_.syncs.add(
      [&scheduler = scheduler_, begin, end, in_pieces, job = std::move(job)]() mutable {
        Status status;
        {
          const std::lock_guard running(job->shared->in_background);
          if (!job->shared->closed) {
            if (in_pieces) {
              write_back_in_pieces(job->shared->descriptor.number(), begin, end);
            }
            status = sync_data(job->shared->descriptor.number(), job->shared->path);
          }
        }
        finish(scheduler, std::move(job), std::move(status));
      });
}

void OsFile::async_write_durable(std::uint64_t offset, ByteView bytes,
                                 Callback<void(Status)> callback) {
  CHECK(offset % kDiskBlockBytes == 0 && bytes.size() % kDiskBlockBytes == 0);
  CHECK(reinterpret_cast<std::uintptr_t>(bytes.data()) % kDiskBlockBytes == 0);
  auto job = std::make_shared<Job>(Job{shared_, std::move(callback)});
  lanes_.durable_writes.add(
      [&scheduler = scheduler_, offset, bytes, job = std::move(job)]() mutable {
        Status status;
        {
          const std::lock_guard running(job->shared->writing);
          if (!job->shared->closed) {
            status = write_durable(*job->shared, offset, bytes);
          }
        }
        finish(scheduler, std::move(job), std::move(status));
      });
}

void OsFile::async_fill_with_zeros(std::uint64_t size_bytes, Callback<void(Status)> callback) {
  auto job = std::make_shared<Job>(Job{shared_, std::move(callback)});
  lanes_.filling.add([&scheduler = scheduler_, size_bytes, job = std::move(job)]() mutable {
    Status status = fill_with_zeros(*job->shared, size_bytes);
    finish(scheduler, std::move(job), std::move(status));
  });
}

Status OsFile::write_durable(Shared& shared, std::uint64_t offset, ByteView bytes) {
  if (!std::exchange(shared.direct_was_tried, true)) {
    shared.direct = open_direct(shared.descriptor.number(), O_DSYNC);
  }
  if (shared.direct.is_open()) {
    const int error_number = write_all(shared.direct.number(), offset, bytes);
    if (error_number != EINVAL) {
      return to_write_status(error_number, shared.path);
    }
    // The file system opened it so and does not write it so.
    shared.direct = FileDescriptor();
  }
  RETURN_IF_ERROR(
      to_write_status(write_all(shared.descriptor.number(), offset, bytes), shared.path));
  return sync_data(shared.descriptor.number(), shared.path);
}

Status OsFile::fill_with_zeros(Shared& shared, std::uint64_t size_bytes) {
  const BlockBuffer zeros(kZeroPieceBytes);
  FileDescriptor direct = open_direct(shared.descriptor.number(), 0);
  std::uint64_t offset = 0;
  {
    const std::lock_guard running(shared.in_background);
    const auto old_size_bytes = size_of(shared.descriptor.number(), shared.path);
    RETURN_IF_ERROR(old_size_bytes);
    offset = *old_size_bytes;
  }
  while (offset < size_bytes) {
    const std::lock_guard running(shared.in_background);
    if (shared.closed) {
      return {};
    }
    // The first piece ends at a whole one, so that the others are aligned.
    const std::uint64_t piece_bytes =
        std::min(size_bytes - offset, kZeroPieceBytes - offset % kZeroPieceBytes);
    const bool is_aligned = offset % kDiskBlockBytes == 0 && piece_bytes % kDiskBlockBytes == 0;
    const ByteView piece(zeros.data(), piece_bytes);
    if (direct.is_open() && is_aligned) {
      const int error_number = write_all(direct.number(), offset, piece);
      if (error_number == EINVAL) {
        direct = FileDescriptor();
        continue;
      }
      RETURN_IF_ERROR(to_write_status(error_number, shared.path));
    } else {
      RETURN_IF_ERROR(
          to_write_status(write_all(shared.descriptor.number(), offset, piece), shared.path));
      RETURN_IF_ERROR(sync_data(shared.descriptor.number(), shared.path));
    }
    offset += piece_bytes;
  }
  const std::lock_guard running(shared.in_background);
  return sync_data(shared.descriptor.number(), shared.path);
}

void OsFile::finish(Scheduler& scheduler, std::shared_ptr<Job> job, Status status) {
  scheduler.post_from_any_thread([job = std::move(job), status = std::move(status)]() mutable {
    if (!job->shared->closed) {
      job->callback(std::move(status));
    }
  });
}

}  // namespace onceflow::io
