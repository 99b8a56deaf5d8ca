// The simulated disk. DiskImage: what a machine has stored, durable and not. SimDisk: the io::Disk
// of one process on it.
//
// What is durable is kept apart from what the page cache shows; between them lies a list of
// changes, from which a crash of the machine takes any part, sector by sector. As strict as the
// contract in io/disk.h: file systems are kinder, and none of their kindness is promised.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/callback.h"
#include "io/disk.h"
#include "sim/world/sparse_bytes.h"

namespace onceflow::sim {

class SimWorld;
class SimProcess;
class SimRandom;
struct SimMachine;

/// One file's bytes, whatever names it has.
class Inode {
 public:
  Inode() = default;
  /// All of it durable.
  explicit Inode(const SparseBytes& bytes) : content_(bytes), durable_(bytes) {}

  /// Through the page cache.
  void write(std::uint64_t offset, ByteView bytes);
  void truncate(std::uint64_t size_bytes);
  /// To the device; the page cache shows it too.
  void write_durable(std::uint64_t offset, ByteView bytes);
  void grow_durable(std::uint64_t size_bytes);
  /// A write that was on its way when the machine went down: any of its sectors.
  void write_torn(std::uint64_t offset, ByteView bytes, SimRandom& random);

  /// Names the changes so far, for sync_until.
  std::uint64_t last_change() const { return last_change_; }
  void sync_until(std::uint64_t change);
  /// A sync that failed: some changes are durable, and no later sync will write the others.
  void fail_sync(SimRandom& random);
  void crash(SimRandom& random);
  void flip_bit(std::uint64_t offset, unsigned bit);
  /// From there to the end, on the device and in the page cache.
  void zero_from(std::uint64_t offset);
  void cut_to(std::uint64_t size_bytes);

  const SparseBytes& content() const { return content_; }
  const SparseBytes& durable() const { return durable_; }

 private:
  struct Change {
    std::uint64_t number = 0;
    bool is_truncation = false;
    std::uint64_t offset = 0;  ///< the new size, of a truncation
    Buffer bytes;
  };

  static void apply(const Change& change, SparseBytes& to);
  static void apply_sectors(std::uint64_t offset, ByteView bytes, SparseBytes& to,
                            SimRandom& random);

  SparseBytes content_;
  SparseBytes durable_;
  std::vector<Change> changes_;  // since the last sync, oldest first
  std::uint64_t last_change_ = 0;
};

/// One machine's disk: names, files, and the operations under way.
class DiskImage {
 public:
  DiskImage(SimWorld& world, SimMachine& machine) : world_(world), machine_(machine) {}

  struct Entry {
    bool is_directory = false;
    std::shared_ptr<Inode> inode;  // shared with open files: a file may lose its name while open
  };
  struct Operation {
    SimProcess* process = nullptr;
    const void* file = nullptr;
    std::shared_ptr<Inode> inode;
    enum class Kind : std::uint8_t { kWrite, kSync, kFill, kSyncNames } kind = Kind::kSync;
    std::uint64_t offset = 0;  ///< of a write; the size, of a fill; the last change, of a sync
    ByteView bytes;
    std::string directory;  ///< of kSyncNames, which has no file
    Callback<void(Status)> callback;
  };
  enum class LaneKind : std::uint8_t { kDurableWrites, kBackground };

  // Names. The map is what processes see.
  const std::map<std::string, Entry>& entries() const { return entries_; }
  const Entry* find(const std::string& path) const;
  void put(const std::string& path, Entry entry);
  void move(const std::string& from, const std::string& to);
  void erase(const std::string& path);
  /// Names the changes of names so far, for sync_names.
  std::uint64_t last_name_change() const { return last_name_change_; }
  Status sync_names(const std::string& directory, std::uint64_t change);

  // Locks, by the process that holds them.
  SimProcess* lock_holder(const std::string& path) const;
  void lock(const std::string& path, SimProcess& process) { locks_[path] = &process; }
  void unlock(const std::string& path, SimProcess& process);

  // Operations that wait for the device, in order within a lane.
  void add(LaneKind lane, Operation operation);
  /// The file has been closed: its running operation is done or not, the others are not.
  void forget_file(const void* file);

  void process_ended(SimProcess& process);
  void crash();
  /// Any bit of any file that has some. Returns its place, for the log; empty if there is none.
  std::string flip_bit(SimRandom& random);
  /// One file is removed, cut, zeroed to its end, or exchanged with another of its kind. Returns
  /// what was done, for the log; empty if there is no file.
  std::string damage_file(SimRandom& random);
  /// What a crash at this moment is sure to leave: as a snapshot of the volume has it.
  struct Snapshot {
    struct Entry {
      bool is_directory = false;
      std::size_t file_index = 0;
    };
    std::map<std::string, Entry> entries;
    std::vector<SparseBytes> files;
  };
  Snapshot snapshot() const;
  /// All is as it was then. No process may have a file open.
  void restore(const Snapshot& snapshot);

  bool is_full() const { return is_full_; }
  void set_full(bool is_full) { is_full_ = is_full; }

 private:
  struct Lane {
    std::deque<Operation> operations;  // the first is running
    std::uint64_t event = 0;
  };
  struct NameChange {
    std::uint64_t number = 0;
    std::string from;  ///< loses its entry; empty if none does
    std::string to;    ///< gets the entry; empty if none does
    Entry entry;
  };

  Lane& lane(LaneKind kind) {
    return kind == LaneKind::kDurableWrites ? durable_writes_ : background_;
  }
  void start_next(Lane& lane);
  void finish(Lane& lane);
  Status carry_out(const Operation& operation);
  Operation abandon_running(Lane& lane, bool machine_went_down);
  template <typename Predicate>
  void abandon(Lane& lane, const Predicate& concerns);
  static void apply(const NameChange& change, std::map<std::string, Entry>& to);
  static void drop_orphans(std::map<std::string, Entry>& entries);
  std::string exchange(const std::vector<std::string>& paths, SimRandom& random);

  SimWorld& world_;
  SimMachine& machine_;
  std::map<std::string, Entry> entries_;
  std::map<std::string, Entry> durable_entries_;
  std::vector<NameChange> name_changes_;  // not yet durable, oldest first
  std::uint64_t last_name_change_ = 0;
  std::map<std::string, SimProcess*> locks_;
  Lane durable_writes_;
  Lane background_;
  bool is_full_ = false;
};

class SimDisk final : public io::Disk {
 public:
  explicit SimDisk(SimProcess& process) : process_(process) {}

  Result<std::unique_ptr<io::File>> open(const std::string& path, io::OpenMode mode) override;
  Result<bool> exists(const std::string& path) override;
  Result<std::vector<io::DirectoryEntry>> list(const std::string& directory) override;
  Status make_directory(const std::string& path) override;
  Status rename(const std::string& from, const std::string& to) override;
  Status remove(const std::string& path) override;
  Status sync_directory(const std::string& path) override;
  void async_sync_directory(const std::string& path, Callback<void(Status)> callback) override;
  Result<std::unique_ptr<io::DirectoryLock>> lock_directory(const std::string& path) override;
  Result<std::uint64_t> free_bytes(const std::string& path) override;

 private:
  SimProcess& process_;
};

}  // namespace onceflow::sim
