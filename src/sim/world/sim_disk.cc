#include "sim/world/sim_disk.h"

#include <algorithm>
#include <set>
#include <string_view>

#include "sim/world/sim_world.h"

namespace onceflow::sim {

namespace {

// What a device writes whole or not at all.
constexpr std::size_t kSectorBytes = 512;
constexpr std::uint64_t kFreeBytes = std::uint64_t{1} << 40;
constexpr int kRotAttempts = 20;

std::unexpected<Error> failure(ErrorCode code, const std::string& path, const std::string& what) {
  return fail(code, path + ": " + what);
}
std::unexpected<Error> not_found(const std::string& path) {
  return failure(ErrorCode::kNotFound, path, "No such file or directory");
}
std::unexpected<Error> disk_full(const std::string& path) {
  return failure(ErrorCode::kDiskFull, path, "No space left on device");
}

// "a/b/" and "a//b" are "a/b".
std::string normal(const std::string& path) {
  std::string result;
  for (const char letter : path) {
    if (letter != '/' || result.empty() || result.back() != '/') {
      result.push_back(letter);
    }
  }
  if (result.size() > 1 && result.back() == '/') {
    result.pop_back();
  }
  return result;
}

bool is_root(const std::string& path) { return path == "." || path == "/"; }

class SimFile final : public io::File {
 public:
  SimFile(SimProcess& process, std::string path, std::shared_ptr<Inode> inode)
      : process_(process), path_(std::move(path)), inode_(std::move(inode)) {}
  ~SimFile() override {
    if (process_.is_running()) {
      image().forget_file(this);
    }
  }

  Result<std::size_t> read_at(std::uint64_t offset, MutableByteView destination) override {
    return inode_->content().read(offset, destination);
  }
  Status write_at(std::uint64_t offset, ByteView bytes) override {
    const Effect effect(process_);
    if (effect.is_lost()) {
      return {};
    }
    if (image().is_full() && offset + bytes.size() > inode_->content().size()) {
      return disk_full(path_);
    }
    inode_->write(offset, bytes);
    return {};
  }
  Result<std::uint64_t> size() override { return inode_->content().size(); }
  Status truncate(std::uint64_t size_bytes) override {
    const Effect effect(process_);
    if (!effect.is_lost()) {
      inode_->truncate(size_bytes);
    }
    return {};
  }
  void reserve(std::uint64_t) override {}
  Status sync() override {
    const Effect effect(process_);
    if (effect.is_lost()) {
      return {};
    }
    SimWorld& world = process_.world();
    if (world.random().happens(world.faults().sync_fails)) {
      world.note(process_.name(), "fault: a sync of " + path_ + " fails");
      inode_->fail_sync(world.random());
      return failure(ErrorCode::kIo, path_, "Input/output error");
    }
    inode_->sync_until(inode_->last_change());
    return {};
  }
  void async_sync(Callback<void(Status)> callback) override {
    add(DiskImage::LaneKind::kBackground, {.kind = DiskImage::Operation::Kind::kSync,
                                           .offset = inode_->last_change(),
                                           .callback = std::move(callback)});
  }
  void async_write_durable(std::uint64_t offset, ByteView bytes,
                           Callback<void(Status)> callback) override {
    CHECK(offset % io::kDiskBlockBytes == 0 && bytes.size() % io::kDiskBlockBytes == 0);
    CHECK(reinterpret_cast<std::uintptr_t>(bytes.data()) % io::kDiskBlockBytes == 0);
    add(DiskImage::LaneKind::kDurableWrites, {.kind = DiskImage::Operation::Kind::kWrite,
                                              .offset = offset,
                                              .bytes = bytes,
                                              .callback = std::move(callback)});
  }
  void async_fill_with_zeros(std::uint64_t size_bytes, Callback<void(Status)> callback) override {
    add(DiskImage::LaneKind::kBackground, {.kind = DiskImage::Operation::Kind::kFill,
                                           .offset = size_bytes,
                                           .callback = std::move(callback)});
  }

  // A disk operation that a process may not survive: it may end before (then the operation has no
  // effect) or after it.
  class Effect {
   public:
    explicit Effect(SimProcess& process) : process_(process) {
      process.world().disk_operation(process);
      is_lost_ = !process.is_running();
    }
    Effect(const Effect&) = delete;
    Effect& operator=(const Effect&) = delete;
    ~Effect() { process_.world().disk_operation(process_); }
    bool is_lost() const { return is_lost_; }

   private:
    SimProcess& process_;
    bool is_lost_;
  };

 private:
  DiskImage& image() { return process_.machine().disk; }

  void add(DiskImage::LaneKind lane, DiskImage::Operation operation) {
    const Effect effect(process_);
    if (!effect.is_lost()) {
      operation.process = &process_;
      operation.file = this;
      operation.inode = inode_;
      image().add(lane, std::move(operation));
    }
  }

  SimProcess& process_;
  std::string path_;
  std::shared_ptr<Inode> inode_;
};

class SimDirectoryLock final : public io::DirectoryLock {
 public:
  SimDirectoryLock(SimProcess& process, std::string path)
      : process_(process), path_(std::move(path)) {}
  ~SimDirectoryLock() override { process_.machine().disk.unlock(path_, process_); }

 private:
  SimProcess& process_;
  std::string path_;
};

using Effect = SimFile::Effect;

}  // namespace

// ----------------------------------------------------------------------------------------------
// Inode

void Inode::write(std::uint64_t offset, ByteView bytes) {
  content_.write(offset, bytes);
  changes_.push_back({++last_change_, false, offset, to_buffer(bytes)});
}

void Inode::truncate(std::uint64_t size_bytes) {
  content_.resize(size_bytes);
  changes_.push_back({++last_change_, true, size_bytes, {}});
}

void Inode::write_durable(std::uint64_t offset, ByteView bytes) {
  content_.write(offset, bytes);
  durable_.write(offset, bytes);
}

void Inode::grow_durable(std::uint64_t size_bytes) {
  content_.resize(std::max(content_.size(), size_bytes));
  durable_.resize(std::max(durable_.size(), size_bytes));
}

void Inode::write_torn(std::uint64_t offset, ByteView bytes, SimRandom& random) {
  SimRandom same = random;
  apply_sectors(offset, bytes, durable_, random);
  apply_sectors(offset, bytes, content_, same);
}

void Inode::sync_until(std::uint64_t change) {
  auto after = changes_.begin();
  for (; after != changes_.end() && after->number <= change; ++after) {
    apply(*after, durable_);
  }
  changes_.erase(changes_.begin(), after);
}

void Inode::fail_sync(SimRandom& random) {
  for (const Change& change : changes_) {
    if (random.coin()) {
      apply(change, durable_);
    }
  }
  changes_.clear();
}

void Inode::crash(SimRandom& random) {
  // All, none, a torn beginning, or any sectors: the first three are too unlikely among the last.
  const std::uint64_t way = random.below(4);
  const std::size_t kept_count = way == 0   ? changes_.size()
                                 : way == 1 ? 0
                                            : random.between(0, changes_.size());
  for (std::size_t index = 0; index < changes_.size(); ++index) {
    const Change& change = changes_[index];
    const bool is_kept = way == 3 ? random.coin() : index < kept_count;
    const bool is_torn = way == 3 || (way == 2 && index == kept_count);
    if (is_torn && !change.is_truncation) {
      apply_sectors(change.offset, change.bytes, durable_, random);
    } else if (is_kept) {
      apply(change, durable_);
    }
  }
  changes_.clear();
  content_ = durable_;
}

void Inode::flip_bit(std::uint64_t offset, unsigned bit) {
  for (SparseBytes* const bytes : {&content_, &durable_}) {
    std::byte octet;
    if (bytes->read(offset, {&octet, 1}) == 1) {
      octet ^= static_cast<std::byte>(1U << (bit % 8));
      bytes->write(offset, {&octet, 1});
    }
  }
}

void Inode::zero_from(std::uint64_t offset) {
  for (SparseBytes* const bytes : {&content_, &durable_}) {
    const std::uint64_t size_bytes = bytes->size();
    bytes->resize(std::min(offset, size_bytes));
    bytes->resize(size_bytes);
  }
}

void Inode::cut_to(std::uint64_t size_bytes) {
  for (SparseBytes* const bytes : {&content_, &durable_}) {
    bytes->resize(std::min(bytes->size(), size_bytes));
  }
}

void Inode::apply(const Change& change, SparseBytes& to) {
  if (change.is_truncation) {
    to.resize(change.offset);
  } else {
    to.write(change.offset, change.bytes);
  }
}

void Inode::apply_sectors(std::uint64_t offset, ByteView bytes, SparseBytes& to,
                          SimRandom& random) {
  while (!bytes.empty()) {
    const std::size_t count =
        std::min<std::size_t>(bytes.size(), kSectorBytes - offset % kSectorBytes);
    if (random.coin()) {
      to.write(offset, bytes.first(count));
    }
    offset += count;
    bytes = bytes.subspan(count);
  }
}

// ------------------------------------------------------------------------------------------
// DiskImage

const DiskImage::Entry* DiskImage::find(const std::string& path) const {
  const auto found = entries_.find(path);
  return found == entries_.end() ? nullptr : &found->second;
}

void DiskImage::put(const std::string& path, Entry entry) {
  name_changes_.push_back({++last_name_change_, "", path, std::move(entry)});
  apply(name_changes_.back(), entries_);
}

void DiskImage::move(const std::string& from, const std::string& to) {
  const Entry entry = entries_.at(from);
  if (entry.is_directory) {
    // What is inside goes along, as changes of its own.
    std::vector<std::string> inside;
    for (auto place = entries_.lower_bound(from + "/");
         place != entries_.end() && place->first.starts_with(from + "/"); ++place) {
      inside.push_back(place->first);
    }
    for (const std::string& path : inside) {
      name_changes_.push_back(
          {++last_name_change_, path, to + path.substr(from.size()), entries_.at(path)});
      apply(name_changes_.back(), entries_);
    }
  }
  name_changes_.push_back({++last_name_change_, from, to, entry});
  apply(name_changes_.back(), entries_);
}

void DiskImage::erase(const std::string& path) {
  name_changes_.push_back({++last_name_change_, path, "", {}});
  apply(name_changes_.back(), entries_);
}

void DiskImage::apply(const NameChange& change, std::map<std::string, Entry>& to) {
  if (!change.from.empty()) {
    to.erase(change.from);
  }
  if (!change.to.empty()) {
    to[change.to] = change.entry;
  }
}

Status DiskImage::sync_names(const std::string& directory, std::uint64_t change) {
  if (!is_root(directory) && find(directory) == nullptr) {
    return not_found(directory);
  }
  std::erase_if(name_changes_, [&](const NameChange& made) {
    const bool is_inside =
        io::parent_directory(made.from) == directory || io::parent_directory(made.to) == directory;
    if (is_inside && made.number <= change) {
      apply(made, durable_entries_);
      return true;
    }
    return false;
  });
  return {};
}

SimProcess* DiskImage::lock_holder(const std::string& path) const {
  const auto found = locks_.find(path);
  return found == locks_.end() ? nullptr : found->second;
}

void DiskImage::unlock(const std::string& path, SimProcess& process) {
  if (lock_holder(path) == &process) {
    locks_.erase(path);
  }
}

void DiskImage::add(LaneKind kind, Operation operation) {
  Lane& to = lane(kind);
  to.operations.push_back(std::move(operation));
  if (to.operations.size() == 1) {
    start_next(to);
  }
}

void DiskImage::start_next(Lane& lane) {
  if (lane.operations.empty()) {
    return;
  }
  SimRandom& random = world_.random();
  const Faults& faults = world_.faults();
  Duration latency = random.between(faults.sync_latency_min, faults.sync_latency_max);
  if (random.happens(faults.slow_sync)) {
    latency += random.between(Duration::zero(), faults.slow_sync_max);
  }
  lane.event = world_.schedule(nullptr, world_.now() + latency, EventKind::kDisk,
                               [this, &lane] { finish(lane); });
}

void DiskImage::finish(Lane& lane) {
  Operation operation = std::move(lane.operations.front());
  SimProcess& process = *operation.process;
  Status status = carry_out(operation);
  lane.operations.pop_front();
  start_next(lane);
  world_.schedule(&process, world_.now(), EventKind::kDisk,
                  [callback = std::move(operation.callback), result = std::move(status)]() mutable {
                    callback(std::move(result));
                  });
  // The process may end between the moment when it is durable and the moment when it knows.
  world_.disk_operation(process);
}

Status DiskImage::carry_out(const Operation& operation) {
  using Kind = Operation::Kind;
  if (is_full_ && (operation.kind == Kind::kWrite || operation.kind == Kind::kFill)) {
    const std::uint64_t end_bytes = operation.offset + operation.bytes.size();
    if (end_bytes > operation.inode->content().size()) {
      return disk_full("file");
    }
  }
  if (world_.random().happens(world_.faults().sync_fails)) {
    world_.note(operation.process->name(), "fault: a durable write or sync fails");
    if (operation.kind == Kind::kWrite) {
      operation.inode->write_torn(operation.offset, operation.bytes, world_.random());
    } else if (operation.kind == Kind::kSync) {
      operation.inode->fail_sync(world_.random());
    }
    return failure(ErrorCode::kIo, "file", "Input/output error");
  }
  switch (operation.kind) {
    case Kind::kWrite:
      operation.inode->write_durable(operation.offset, operation.bytes);
      break;
    case Kind::kSync:
      operation.inode->sync_until(operation.offset);
      break;
    case Kind::kFill:
      operation.inode->grow_durable(operation.offset);
      break;
    case Kind::kSyncNames:
      return sync_names(operation.directory, operation.offset);
  }
  return {};
}

DiskImage::Operation DiskImage::abandon_running(Lane& lane, bool machine_went_down) {
  Operation operation = std::move(lane.operations.front());
  lane.operations.pop_front();
  SimRandom& random = world_.random();
  world_.cancel(lane.event);
  if (operation.kind == Operation::Kind::kWrite) {
    // Without power any of its sectors; with it all or nothing, as the device has it already or
    // not.
    if (machine_went_down) {
      operation.inode->write_torn(operation.offset, operation.bytes, random);
    } else if (random.coin()) {
      operation.inode->write_durable(operation.offset, operation.bytes);
    }
  } else if (operation.kind == Operation::Kind::kFill) {
    const std::uint64_t old_size = operation.inode->content().size();
    if (operation.offset > old_size) {
      operation.inode->grow_durable(random.between(old_size, operation.offset));
    }
  }
  return operation;
}

template <typename Predicate>
void DiskImage::abandon(Lane& lane, const Predicate& concerns) {
  if (lane.operations.empty()) {
    return;
  }
  // Destroyed last: what their callbacks own may be files, which come back here.
  std::vector<Operation> abandoned;
  const bool running_is_abandoned = concerns(lane.operations.front());
  if (running_is_abandoned) {
    abandoned.push_back(abandon_running(lane, false));
  }
  std::deque<Operation> kept;
  for (Operation& operation : lane.operations) {
    (concerns(operation) ? abandoned.emplace_back() : kept.emplace_back()) = std::move(operation);
  }
  lane.operations = std::move(kept);
  if (running_is_abandoned) {
    start_next(lane);
  }
}

void DiskImage::forget_file(const void* file) {
  for (Lane* const lane : {&durable_writes_, &background_}) {
    abandon(*lane, [&](const Operation& operation) { return operation.file == file; });
  }
}

void DiskImage::process_ended(SimProcess& process) {
  for (Lane* const lane : {&durable_writes_, &background_}) {
    abandon(*lane, [&](const Operation& operation) { return operation.process == &process; });
  }
  std::erase_if(locks_, [&](const auto& lock) { return lock.second == &process; });
}

DiskImage::Snapshot DiskImage::snapshot() const {
  Snapshot snapshot;
  std::map<const Inode*, std::size_t> indices;
  for (const auto& [path, entry] : durable_entries_) {
    std::size_t index = 0;
    if (entry.inode != nullptr) {
      const auto [place, is_new] = indices.try_emplace(entry.inode.get(), snapshot.files.size());
      index = place->second;
      if (is_new) {
        snapshot.files.push_back(entry.inode->durable());
      }
    }
    snapshot.entries[path] = {entry.is_directory, index};
  }
  return snapshot;
}

void DiskImage::restore(const Snapshot& snapshot) {
  CHECK(locks_.empty() && durable_writes_.operations.empty() && background_.operations.empty());
  std::vector<std::shared_ptr<Inode>> files;
  files.reserve(snapshot.files.size());
  for (const SparseBytes& bytes : snapshot.files) {
    files.push_back(std::make_shared<Inode>(bytes));
  }
  name_changes_.clear();
  entries_.clear();
  for (const auto& [path, entry] : snapshot.entries) {
    entries_[path] = {entry.is_directory, entry.is_directory ? nullptr : files[entry.file_index]};
  }
  drop_orphans(entries_);
  durable_entries_ = entries_;
}

// What lies in a folder that is not there is not there.
void DiskImage::drop_orphans(std::map<std::string, Entry>& entries) {
  std::erase_if(entries, [&](const auto& entry) {
    std::string folder = io::parent_directory(entry.first);
    for (; !is_root(folder); folder = io::parent_directory(folder)) {
      const auto found = entries.find(folder);
      if (found == entries.end() || !found->second.is_directory) {
        return true;
      }
    }
    return false;
  });
}

void DiskImage::crash() {
  std::deque<Operation> abandoned[2];
  for (Lane* const lane : {&durable_writes_, &background_}) {
    if (!lane->operations.empty()) {
      std::deque<Operation>& of_lane = abandoned[lane == &background_ ? 1 : 0];
      of_lane.push_back(abandon_running(*lane, true));
      std::ranges::move(lane->operations, std::back_inserter(of_lane));
      lane->operations.clear();
    }
  }
  locks_.clear();
  SimRandom& random = world_.random();
  // Names first: all of the changes, none of them, or any.
  const std::uint64_t way = random.below(3);
  for (const NameChange& change : name_changes_) {
    if (way == 0 || (way == 2 && random.coin())) {
      apply(change, durable_entries_);
    }
  }
  name_changes_.clear();
  drop_orphans(durable_entries_);
  entries_ = durable_entries_;
  for (const auto& [path, entry] : entries_) {
    if (entry.inode) {
      entry.inode->crash(random);
    }
  }
}

std::string DiskImage::flip_bit(SimRandom& random) {
  std::vector<const std::pair<const std::string, Entry>*> files;
  for (const auto& entry : entries_) {
    if (entry.second.inode && entry.second.inode->content().size() > 0) {
      files.push_back(&entry);
    }
  }
  if (files.empty()) {
    return "";
  }
  const auto& [path, entry] = *files[random.below(files.size())];
  // Rather where something is written: most of a journal's file is zeroes that nobody reads.
  std::uint64_t byte = 0;
  std::byte octet{0};
  for (int attempt = 0; attempt < kRotAttempts && octet == std::byte{0}; ++attempt) {
    byte = random.below(entry.inode->content().size());
    static_cast<void>(entry.inode->content().read(byte, {&octet, 1}));
  }
  const auto bit = static_cast<unsigned>(random.below(8));
  entry.inode->flip_bit(byte, bit);
  return path + ": byte " + std::to_string(byte) + ", bit " + std::to_string(bit);
}

namespace {

std::string_view name_of(std::string_view path) { return path.substr(path.rfind('/') + 1); }

std::string_view extension_of(std::string_view path) {
  return path.substr(std::min(path.rfind('.'), path.size()));
}

}  // namespace

std::string DiskImage::damage_file(SimRandom& random) {
  std::vector<std::string> paths;
  for (const auto& [path, entry] : entries_) {
    if (entry.inode && entry.inode->content().size() > 0 && !path.ends_with("/LOCK")) {
      paths.push_back(path);
    }
  }
  if (paths.empty()) {
    return "";
  }
  const std::string path = paths[random.below(paths.size())];
  Inode& inode = *entries_.at(path).inode;
  const std::uint64_t place = random.below(inode.content().size());
  switch (random.below(4)) {
    case 0:
      for (auto* const entries : {&entries_, &durable_entries_}) {
        entries->erase(path);
      }
      return "a file is gone: " + path;
    case 1:
      inode.cut_to(place);
      return "a file is cut: " + path + " to " + std::to_string(place);
    case 2:
      inode.zero_from(place);
      return "a file is zeroed: " + path + " from " + std::to_string(place);
    default:
      break;
  }
  return exchange(paths, random);
}

// Two of one kind; two of one name and size, if there are any: then only what they hold tells.
std::string DiskImage::exchange(const std::vector<std::string>& paths, SimRandom& random) {
  std::vector<std::pair<std::string, std::string>> pairs;
  std::vector<std::pair<std::string, std::string>> twins;
  for (auto path = paths.begin(); path != paths.end(); ++path) {
    for (auto other = std::next(path); other != paths.end(); ++other) {
      if (extension_of(*path) == extension_of(*other)) {
        pairs.emplace_back(*path, *other);
      }
      if (name_of(*path) == name_of(*other) && entries_.at(*path).inode->content().size() ==
                                                   entries_.at(*other).inode->content().size()) {
        twins.emplace_back(*path, *other);
      }
    }
  }
  if (pairs.empty()) {
    return "";
  }
  const auto& [path, other] =
      twins.empty() ? pairs[random.below(pairs.size())] : twins[random.below(twins.size())];
  for (auto* const entries : {&entries_, &durable_entries_}) {
    const auto here = entries->find(path);
    const auto there = entries->find(other);
    if (here != entries->end() && there != entries->end()) {
      std::swap(here->second, there->second);
    }
  }
  return "two files are exchanged: " + path + " and " + other;
}

// --------------------------------------------------------------------------------------------
// SimDisk

Result<std::unique_ptr<io::File>> SimDisk::open(const std::string& name, io::OpenMode mode) {
  const std::string path = normal(name);
  DiskImage& image = process_.machine().disk;
  const DiskImage::Entry* entry = image.find(path);
  if (entry != nullptr && entry->is_directory) {
    return failure(ErrorCode::kIo, path, "Is a directory");
  }
  if (entry != nullptr && mode == io::OpenMode::kCreateNew) {
    return failure(ErrorCode::kAlreadyExists, path, "File exists");
  }
  if (entry != nullptr) {
    return std::make_unique<SimFile>(process_, path, entry->inode);
  }
  if (mode == io::OpenMode::kRead || mode == io::OpenMode::kReadWrite) {
    return not_found(path);
  }
  const Effect effect(process_);
  auto inode = std::make_shared<Inode>();
  if (!effect.is_lost()) {
    const std::string folder = io::parent_directory(path);
    if (!is_root(folder) && image.find(folder) == nullptr) {
      return not_found(path);
    }
    if (image.is_full()) {
      return disk_full(path);
    }
    image.put(path, {false, inode});
  }
  return std::make_unique<SimFile>(process_, path, std::move(inode));
}

Result<bool> SimDisk::exists(const std::string& name) {
  const std::string path = normal(name);
  return is_root(path) || process_.machine().disk.find(path) != nullptr;
}

Result<std::vector<io::DirectoryEntry>> SimDisk::list(const std::string& name) {
  const std::string directory = normal(name);
  const DiskImage& image = process_.machine().disk;
  const DiskImage::Entry* const entry = image.find(directory);
  if (!is_root(directory) && (entry == nullptr || !entry->is_directory)) {
    return not_found(directory);
  }
  std::vector<io::DirectoryEntry> entries;
  for (const auto& [path, inside] : image.entries()) {
    if (path != directory && io::parent_directory(path) == directory) {
      entries.push_back({path.substr(path.rfind('/') + 1), inside.is_directory});
    }
  }
  return entries;
}

Status SimDisk::make_directory(const std::string& name) {
  const std::string path = normal(name);
  DiskImage& image = process_.machine().disk;
  for (std::size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    const std::string part = path.substr(0, slash);
    const DiskImage::Entry* const entry = image.find(part);
    if (entry != nullptr && !entry->is_directory) {
      return failure(ErrorCode::kAlreadyExists, part, "File exists");
    }
    if (entry == nullptr && !is_root(part)) {
      const Effect effect(process_);
      if (effect.is_lost()) {
        return {};
      }
      image.put(part, {true, nullptr});
    }
    if (slash == std::string::npos) {
      return {};
    }
  }
}

Status SimDisk::rename(const std::string& from_name, const std::string& to_name) {
  const std::string from = normal(from_name);
  const Effect effect(process_);
  if (effect.is_lost()) {
    return {};
  }
  DiskImage& image = process_.machine().disk;
  if (image.find(from) == nullptr) {
    return not_found(from);
  }
  image.move(from, normal(to_name));
  return {};
}

Status SimDisk::remove(const std::string& name) {
  const std::string path = normal(name);
  const Effect effect(process_);
  if (effect.is_lost()) {
    return {};
  }
  DiskImage& image = process_.machine().disk;
  const DiskImage::Entry* const entry = image.find(path);
  if (entry == nullptr) {
    return not_found(path);
  }
  if (entry->is_directory) {
    const auto inside = image.entries().lower_bound(path + "/");
    if (inside != image.entries().end() && inside->first.starts_with(path + "/")) {
      return failure(ErrorCode::kIo, path, "Directory not empty");
    }
  }
  image.erase(path);
  return {};
}

Status SimDisk::sync_directory(const std::string& name) {
  const std::string path = normal(name);
  const Effect effect(process_);
  if (effect.is_lost()) {
    return {};
  }
  DiskImage& image = process_.machine().disk;
  return image.sync_names(path, image.last_name_change());
}

void SimDisk::async_sync_directory(const std::string& name, Callback<void(Status)> callback) {
  const Effect effect(process_);
  if (!effect.is_lost()) {
    DiskImage& image = process_.machine().disk;
    image.add(DiskImage::LaneKind::kBackground, {.process = &process_,
                                                 .kind = DiskImage::Operation::Kind::kSyncNames,
                                                 .offset = image.last_name_change(),
                                                 .directory = normal(name),
                                                 .callback = std::move(callback)});
  }
}

Result<std::unique_ptr<io::DirectoryLock>> SimDisk::lock_directory(const std::string& name) {
  const std::string path = normal(name);
  DiskImage& image = process_.machine().disk;
  if (const SimProcess* const holder = image.lock_holder(path)) {
    return fail(ErrorCode::kLocked,
                path + " is in use by another process (" + holder->name() + ")");
  }
  if (process_.is_running()) {
    image.lock(path, process_);
  }
  return std::make_unique<SimDirectoryLock>(process_, path);
}

Result<std::uint64_t> SimDisk::free_bytes(const std::string&) {
  return process_.machine().disk.is_full() ? 0 : kFreeBytes;
}

}  // namespace onceflow::sim
