// OsDisk: files of the operating system. Owned by one scheduler's thread, on which all members are
// called and all callbacks run.
//
// What waits for the device runs on two threads of the OsDisk: durable writes on one, syncs and
// filling with zeros on the other, so that a checkpoint or a new journal file never stands in front
// of a group commit. Both are destroyed with the OsDisk, after the job they are at.
#pragma once

#include "io/disk.h"
#include "io/os/work_lane.h"
#include "io/scheduler.h"

namespace onceflow::io {

class OsDisk final : public Disk {
 public:
  explicit OsDisk(Scheduler& scheduler) : scheduler_(scheduler) {}
  ~OsDisk() override { shut_down(); }

  /// Waits for the jobs that are running; drops the others with their callbacks. Files stay open.
  void shut_down();

  /// A file must not outlive its OsDisk. Destroying it waits for its job that is running and drops
  /// the callbacks of all others.
  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override;
  Result<bool> exists(const std::string& path) override;
  Result<std::vector<DirectoryEntry>> list(const std::string& directory) override;
  Status make_directory(const std::string& path) override;
  Status rename(const std::string& from, const std::string& to) override;
  Status remove(const std::string& path) override;
  Status sync_directory(const std::string& path) override;
  void async_sync_directory(const std::string& path, Callback<void(Status)> callback) override;
  /// Locks the file `LOCK` inside, which says who holds it.
  Result<std::unique_ptr<DirectoryLock>> lock_directory(const std::string& path) override;
  Result<std::uint64_t> free_bytes(const std::string& path) override;

 private:
  Scheduler& scheduler_;
  WorkLane durable_writes_;
  WorkLane background_;
};

}  // namespace onceflow::io
