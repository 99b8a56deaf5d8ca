// OsFile: one open file of an OsDisk; see there for its threads.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>

#include "io/disk.h"
#include "io/os/file_descriptor.h"
#include "io/os/work_lane.h"
#include "io/scheduler.h"

namespace onceflow::io {

class OsFile final : public File {
 public:
  /// Those of the OsDisk.
  struct Lanes {
    WorkLane& durable_writes;
    WorkLane& filling;
    WorkLane& syncs;
  };
  OsFile(Scheduler& scheduler, Lanes lanes, std::string path, FileDescriptor descriptor);
  ~OsFile() override;

  Result<std::size_t> read_at(std::uint64_t offset, MutableByteView destination) override;
  Status write_at(std::uint64_t offset, ByteView bytes) override;
  Result<std::uint64_t> size() override;
  Status truncate(std::uint64_t size_bytes) override;
  void reserve(std::uint64_t end_bytes) override;
  Status sync() override;
  void async_sync(Callback<void(Status)> callback) override;
  void async_write_durable(std::uint64_t offset, ByteView bytes,
                           Callback<void(Status)> callback) override;
  void async_fill_with_zeros(std::uint64_t size_bytes, Callback<void(Status)> callback) override;

 private:
  // What jobs on the threads hold on to. Its mutex is held while a job of this file runs.
  struct Shared {
    std::string path;
    FileDescriptor descriptor;
    FileDescriptor direct;          // of the thread of durable writes alone
    bool direct_was_tried = false;  // of the same
    std::mutex writing;             // held by a durable write
    std::mutex in_background;       // held by a sync or a piece of zeros
    std::atomic<bool> closed = false;
  };
  struct Job;

  static Status write_durable(Shared& shared, std::uint64_t offset, ByteView bytes);
  static Status fill_with_zeros(Shared& shared, std::uint64_t size_bytes);
  static void finish(Scheduler& scheduler, std::shared_ptr<Job> job, Status status);

  static constexpr std::uint64_t kNothingUnsynced = ~std::uint64_t{0};

  Scheduler& scheduler_;
  const Lanes lanes_;
  std::shared_ptr<Shared> shared_;
  // Covers what write_at has written since the last async_sync.
  std::uint64_t unsynced_begin_ = kNothingUnsynced;
  std::uint64_t unsynced_end_ = 0;
};

}  // namespace onceflow::io
