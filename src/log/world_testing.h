// TestWorld: a scheduler that runs by hand and a disk in memory that loses what was not synced. For
// the tests of the log alone, header only; the simulator has the real thing.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/check.h"
#include "io/environment.h"

namespace onceflow::log::testing {

class TestScheduler final : public io::Scheduler {
 public:
  ~TestScheduler() override { drop_all(); }

  MonotonicTime now() const override { return now_; }
  WallTime wall_now() const override {
    return {1'700'000'000'000 + to_ms(now_.time_since_epoch())};
  }
  void post(Callback<void()> callback) override { posted_.push_back(std::move(callback)); }
  void post_from_any_thread(Callback<void()> callback) override { post(std::move(callback)); }
  io::TimerId schedule_at(MonotonicTime time, Callback<void()> callback) override {
    timers_.emplace(std::pair(time, ++last_timer_), std::move(callback));
    return last_timer_;
  }
  void cancel(io::TimerId timer) override {
    std::erase_if(timers_, [&](const auto& entry) { return entry.first.second == timer; });
  }

  /// Runs what is posted until nothing is; no time passes.
  void run_posted() {
    while (!posted_.empty()) {
      Callback<void()> callback = std::move(posted_.front());
      posted_.pop_front();
      callback();
    }
  }
  /// Lets time pass, timers included.
  void run_for(Duration duration) {
    const MonotonicTime end = now_ + duration;
    run_posted();
    while (!timers_.empty() && timers_.begin()->first.first <= end) {
      auto node = timers_.extract(timers_.begin());
      now_ = std::max(now_, node.key().first);
      node.mapped()();
      run_posted();
    }
    now_ = end;
  }
  bool run_until(const std::function<bool()>& done, Duration limit = seconds(60)) {
    const MonotonicTime end = now_ + limit;
    while (!done() && now_ < end) {
      if (!posted_.empty()) {
        Callback<void()> callback = std::move(posted_.front());
        posted_.pop_front();
        callback();
      } else if (!timers_.empty()) {
        auto node = timers_.extract(timers_.begin());
        now_ = std::max(now_, node.key().first);
        node.mapped()();
      } else {
        return done();
      }
    }
    return done();
  }
  void drop_all() {
    while (!posted_.empty() || !timers_.empty()) {
      std::exchange(posted_, {});
      std::exchange(timers_, {});
    }
    destroy_spawned_tasks();
    std::exchange(posted_, {});
    std::exchange(timers_, {});
  }

 private:
  MonotonicTime now_{seconds(1000)};
  std::deque<Callback<void()>> posted_;
  std::map<std::pair<MonotonicTime, io::TimerId>, Callback<void()>> timers_;
  io::TimerId last_timer_ = 0;
};

// SplitMix64 (Steele, Lea, Flood 2014).
class TestRandom final : public io::Random {
 public:
  explicit TestRandom(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() override {
    std::uint64_t mixed = (state_ += 0x9e3779b97f4a7c15);
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
    return mixed ^ (mixed >> 31);
  }

 private:
  std::uint64_t state_;
};

class NoNetwork final : public io::Network {
 public:
  Result<std::unique_ptr<io::Listener>> listen(const io::Endpoint&) override {
    return fail(ErrorCode::kUnsupported, "no network");
  }
  void async_connect(const io::Endpoint&, MonotonicTime,
                     Callback<void(Result<std::unique_ptr<io::Connection>>)>) override {
    CHECK(false);
  }
};

class MemoryDisk final : public io::Disk {
 public:
  MemoryDisk(TestScheduler& scheduler, std::uint64_t seed) : scheduler_(scheduler), random_(seed) {}

  struct Inode {
    Buffer bytes;                      // as the processes see it
    Buffer durable;                    // as it is after a crash of the machine
    std::uint64_t reserved_bytes = 0;  // up to there; 0: nothing
    struct Write {
      std::uint64_t offset;
      Buffer bytes;
    };
    std::deque<std::shared_ptr<Write>> in_flight;
    bool fail_next_durable_write = false;
    bool fail_next_sync = false;
    /// Since a sync failed: what was written after it, the only thing that a later sync writes.
    std::optional<std::vector<Write>> written_since_failure;
  };

  class MemoryFile final : public io::File {
   public:
    MemoryFile(MemoryDisk& disk, std::string path, std::shared_ptr<Inode> inode)
        : disk_(disk), path_(std::move(path)), inode_(std::move(inode)) {}

    Result<std::size_t> read_at(std::uint64_t offset, MutableByteView destination) override {
      if (offset >= inode_->bytes.size()) {
        return std::size_t{0};
      }
      const std::size_t count =
          std::min<std::size_t>(destination.size(), inode_->bytes.size() - offset);
      std::copy_n(inode_->bytes.begin() + static_cast<std::ptrdiff_t>(offset), count,
                  destination.begin());
      return count;
    }
    Status write_at(std::uint64_t offset, ByteView bytes) override {
      RETURN_IF_ERROR(disk_.make_room(*inode_, offset + bytes.size(), path_));
      place(inode_->bytes, offset, bytes);
      if (inode_->written_since_failure) {
        inode_->written_since_failure->push_back({offset, to_buffer(bytes)});
      }
      return {};
    }
    Result<std::uint64_t> size() override { return inode_->bytes.size(); }
    Status truncate(std::uint64_t size_bytes) override {
      inode_->bytes.resize(size_bytes, std::byte{0});
      inode_->reserved_bytes = 0;
      return {};
    }
    void reserve(std::uint64_t end_bytes) override { inode_->reserved_bytes = end_bytes; }
    Status sync() override {
      if (std::exchange(inode_->fail_next_sync, false)) {
        inode_->written_since_failure.emplace();
        return fail(ErrorCode::kIo, "cannot sync " + path_ + ": Input/output error");
      }
      if (inode_->written_since_failure) {
        for (const Inode::Write& write : *inode_->written_since_failure) {
          place(inode_->durable, write.offset, write.bytes);
        }
        inode_->written_since_failure->clear();
      } else {
        inode_->durable = inode_->bytes;
      }
      ++disk_.sync_count;
      return {};
    }
    void async_sync(Callback<void(Status)> callback) override {
      // What is written meanwhile may be kept or not: as if the sync had looked at once.
      disk_.later([file = MemoryFile(disk_, path_, inode_), snapshot = inode_->bytes,
                   then = std::move(callback)]() mutable {
        Status status = file.sync();
        if (status && !file.inode_->written_since_failure) {
          file.inode_->durable = snapshot;
        }
        then(std::move(status));
      });
    }
    void async_write_durable(std::uint64_t offset, ByteView bytes,
                             Callback<void(Status)> callback) override {
      CHECK(offset % io::kDiskBlockBytes == 0 && bytes.size() % io::kDiskBlockBytes == 0);
      auto write = std::make_shared<Inode::Write>(Inode::Write{offset, to_buffer(bytes)});
      inode_->in_flight.push_back(write);
      ++disk_.durable_write_count;
      disk_.later([&disk = disk_, path = path_, inode = inode_, write,
                   then = std::move(callback)]() mutable {
        std::erase(inode->in_flight, write);
        if (std::exchange(inode->fail_next_durable_write, false)) {
          then(fail(ErrorCode::kIo, "cannot write " + path + ": Input/output error"));
          return;
        }
        if (Status room = disk.make_room(*inode, write->offset + write->bytes.size(), path);
            !room) {
          then(std::move(room));
          return;
        }
        place(inode->bytes, write->offset, write->bytes);
        place(inode->durable, write->offset, write->bytes);
        then({});
      });
    }
    void async_fill_with_zeros(std::uint64_t size_bytes, Callback<void(Status)> callback) override {
      disk_.later([&disk = disk_, path = path_, inode = inode_, size_bytes,
                   then = std::move(callback)]() mutable {
        if (Status room = disk.make_room(*inode, size_bytes, path); !room) {
          then(std::move(room));
          return;
        }
        inode->bytes.resize(std::max<std::size_t>(inode->bytes.size(), size_bytes), std::byte{0});
        inode->durable = inode->bytes;
        then({});
      });
    }

   private:
    friend class MemoryDisk;
    static void place(Buffer& content, std::uint64_t offset, ByteView bytes) {
      if (content.size() < offset + bytes.size()) {
        content.resize(offset + bytes.size(), std::byte{0});
      }
      std::ranges::copy(bytes, content.begin() + static_cast<std::ptrdiff_t>(offset));
    }
    MemoryDisk& disk_;
    std::string path_;
    std::shared_ptr<Inode> inode_;
  };

  Result<std::unique_ptr<io::File>> open(const std::string& path, io::OpenMode mode) override {
    const auto found = files_.find(path);
    const bool may_create = mode == io::OpenMode::kCreate || mode == io::OpenMode::kCreateNew;
    if (found == files_.end() && !may_create) {
      return fail(ErrorCode::kNotFound, path + ": not found");
    }
    if (found != files_.end() && mode == io::OpenMode::kCreateNew) {
      return fail(ErrorCode::kAlreadyExists, path + ": exists");
    }
    if (found == files_.end() && !folders_.contains(io::parent_directory(path))) {
      return fail(ErrorCode::kNotFound, path + ": no such folder");
    }
    auto& inode = files_[path];
    if (!inode) {
      inode = std::make_shared<Inode>();
    }
    return std::make_unique<MemoryFile>(*this, path, inode);
  }
  Result<bool> exists(const std::string& path) override {
    return files_.contains(path) || folders_.contains(path);
  }
  Result<std::vector<io::DirectoryEntry>> list(const std::string& directory) override {
    if (!folders_.contains(directory)) {
      return fail(ErrorCode::kNotFound, directory + ": not found");
    }
    std::vector<io::DirectoryEntry> entries;
    for (const auto& [path, inode] : files_) {
      if (io::parent_directory(path) == directory) {
        entries.push_back({path.substr(directory.size() + 1), false});
      }
    }
    for (const std::string& path : folders_) {
      if (path != directory && io::parent_directory(path) == directory) {
        entries.push_back({path.substr(directory.size() + 1), true});
      }
    }
    std::ranges::sort(entries, {}, &io::DirectoryEntry::name);
    return entries;
  }
  Status make_directory(const std::string& path) override {
    for (std::string part = path; part != "." && part != "/"; part = io::parent_directory(part)) {
      folders_.insert(part);
    }
    return {};
  }
  Status rename(const std::string& from, const std::string& to) override {
    if (const auto found = files_.find(from); found != files_.end()) {
      files_[to] = found->second;
      files_.erase(from);
      return {};
    }
    if (!folders_.contains(from)) {
      return fail(ErrorCode::kNotFound, from + ": not found");
    }
    folders_.erase(from);
    folders_.insert(to);
    std::map<std::string, std::shared_ptr<Inode>> moved;
    for (const auto& [path, inode] : files_) {
      const bool is_inside = io::parent_directory(path) == from;
      moved.emplace(is_inside ? to + path.substr(from.size()) : path, inode);
    }
    files_ = std::move(moved);
    return {};
  }
  Status remove(const std::string& path) override {
    if (files_.erase(path) + folders_.erase(path) == 0) {
      return fail(ErrorCode::kNotFound, path + ": not found");
    }
    return {};
  }
  Status sync_directory(const std::string& path) override {
    const auto is_inside = [&](const auto& name) { return io::parent_directory(name) == path; };
    std::erase_if(durable_files_, [&](const auto& entry) { return is_inside(entry.first); });
    std::erase_if(durable_folders_, is_inside);
    for (const auto& [name, inode] : files_) {
      if (is_inside(name)) {
        durable_files_[name] = inode;
      }
    }
    for (const std::string& name : folders_) {
      if (is_inside(name)) {
        durable_folders_.insert(name);
      }
    }
    return {};
  }
  void async_sync_directory(const std::string& path, Callback<void(Status)> callback) override {
    later([this, path, then = std::move(callback)]() mutable { then(sync_directory(path)); });
  }
  Result<std::unique_ptr<io::DirectoryLock>> lock_directory(const std::string& path) override {
    struct Lock final : io::DirectoryLock {
      explicit Lock(std::set<std::string>& all, std::string mine)
          : locks(all), path(std::move(mine)) {}
      ~Lock() override { locks.erase(path); }
      std::set<std::string>& locks;
      std::string path;
    };
    if (!locks_.insert(path).second) {
      return fail(ErrorCode::kLocked, path + " is in use by another process");
    }
    return std::make_unique<Lock>(locks_, path);
  }
  Result<std::uint64_t> free_bytes(const std::string&) override {
    return capacity_bytes > used_bytes() ? capacity_bytes - used_bytes() : 0;
  }

  // --- What tests do to it ---

  /// The process dies: what was on its way may have arrived in part, all else is there.
  void crash_process() {
    for (auto& [path, inode] : files_) {
      for (const auto& write : std::exchange(inode->in_flight, {})) {
        tear(inode->bytes, write->offset, write->bytes);
      }
    }
  }
  /// The machine dies: of what was not synced, any sector may be there or not; names not synced are
  /// gone.
  void crash_machine() {
    for (auto& [path, inode] : files_) {
      const Buffer before = inode->bytes;
      Buffer after = inode->durable;
      if (random_.next() % 2 == 0 && after.size() < before.size()) {
        after.resize(before.size(), std::byte{0});
      }
      for (std::size_t at = 0; at < after.size() && at < before.size(); at += 512) {
        if (random_.next() % 2 == 0) {
          const std::size_t count =
              std::min({std::size_t{512}, after.size() - at, before.size() - at});
          std::copy_n(before.begin() + static_cast<std::ptrdiff_t>(at), count,
                      after.begin() + static_cast<std::ptrdiff_t>(at));
        }
      }
      inode->bytes = std::move(after);
      for (const auto& write : std::exchange(inode->in_flight, {})) {
        tear(inode->bytes, write->offset, write->bytes);
      }
      inode->durable = inode->bytes;
    }
    files_ = durable_files_;
    folders_ = durable_folders_;
    std::erase_if(files_, [&](const auto& entry) {
      return !folders_.contains(io::parent_directory(entry.first));
    });
  }
  Buffer& bytes(const std::string& path) {
    CHECK(files_.contains(path));
    return files_[path]->bytes;
  }
  Inode& inode(const std::string& path) {
    CHECK(files_.contains(path));
    return *files_[path];
  }
  std::vector<std::string> paths() const {
    std::vector<std::string> result;
    for (const auto& [path, inode] : files_) {
      result.push_back(path);
    }
    return result;
  }
  struct Image {
    std::map<std::string, Buffer> files;
    std::set<std::string> folders;
  };
  Image image() const {
    Image result{.folders = folders_};
    for (const auto& [path, inode] : files_) {
      result.files[path] = inode->bytes;
    }
    return result;
  }
  void restore(const Image& image) {
    files_.clear();
    folders_ = durable_folders_ = image.folders;
    for (const auto& [path, content] : image.files) {
      auto inode = std::make_shared<Inode>();
      inode->bytes = inode->durable = content;
      files_[path] = inode;
    }
    durable_files_ = files_;
  }
  std::uint64_t used_bytes() const {
    std::uint64_t total = 0;
    for (const auto& [path, inode] : files_) {
      total += inode->bytes.size();
    }
    return total;
  }
  std::uint64_t capacity_bytes = 1ull << 40;
  Duration latency = microseconds(100);
  std::size_t sync_count = 0;
  std::size_t durable_write_count = 0;

 private:
  void later(Callback<void()> callback) { scheduler_.schedule_after(latency, std::move(callback)); }
  Status make_room(const Inode& inode, std::uint64_t size_bytes, const std::string& path) {
    if (size_bytes > inode.bytes.size() &&
        used_bytes() + (size_bytes - inode.bytes.size()) > capacity_bytes) {
      return fail(ErrorCode::kDiskFull, "cannot write " + path + ": No space left on device");
    }
    return {};
  }
  void tear(Buffer& content, std::uint64_t offset, ByteView bytes) {
    const std::uint64_t mode = random_.next() % 3;  // nothing, all, some sectors
    for (std::size_t at = 0; at < bytes.size(); at += 512) {
      if (mode == 1 || (mode == 2 && random_.next() % 2 == 0)) {
        MemoryFile::place(content, offset + at, bytes.subspan(at, 512));
      }
    }
  }

  TestScheduler& scheduler_;
  TestRandom random_;
  std::map<std::string, std::shared_ptr<Inode>> files_;
  std::map<std::string, std::shared_ptr<Inode>> durable_files_;
  std::set<std::string> folders_;
  std::set<std::string> durable_folders_;
  std::set<std::string> locks_;
};

/// One machine: what is on its disk outlives its processes.
struct TestWorld {
  explicit TestWorld(std::uint64_t seed = 1) : disk(scheduler, seed), random(seed) {}
  io::Environment environment() { return {scheduler, disk, network, random, seeded_bug}; }

  TestScheduler scheduler;
  MemoryDisk disk;
  TestRandom random;
  NoNetwork network;
  SeededBug seeded_bug = SeededBug::kNone;
};

}  // namespace onceflow::log::testing
