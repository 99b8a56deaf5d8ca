#include "log/forgetful_disk.h"

#include <algorithm>

namespace onceflow::log {

namespace {

class ForgetfulFile final : public io::File {
 public:
  explicit ForgetfulFile(std::shared_ptr<std::uint64_t> size_bytes)
      : size_bytes_(std::move(size_bytes)) {}

  Result<std::size_t> read_at(std::uint64_t offset, MutableByteView destination) override {
    const std::uint64_t left = *size_bytes_ - std::min(offset, *size_bytes_);
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(left, destination.size()));
    std::ranges::fill(destination.first(count), std::byte{0});
    return count;
  }
  Status write_at(std::uint64_t offset, ByteView bytes) override {
    *size_bytes_ = std::max(*size_bytes_, offset + bytes.size());
    return {};
  }
  Result<std::uint64_t> size() override { return *size_bytes_; }
  Status truncate(std::uint64_t size_bytes) override {
    *size_bytes_ = size_bytes;
    return {};
  }
  void reserve(std::uint64_t) override {}
  Status sync() override { return {}; }
  void async_sync(Callback<void(Status)> callback) override { callback({}); }
  void async_write_durable(std::uint64_t offset, ByteView bytes,
                           Callback<void(Status)> callback) override {
    callback(write_at(offset, bytes));
  }
  void async_fill_with_zeros(std::uint64_t size_bytes, Callback<void(Status)> callback) override {
    *size_bytes_ = std::max(*size_bytes_, size_bytes);
    callback({});
  }

 private:
  std::shared_ptr<std::uint64_t> size_bytes_;  // shared with the disk's table of names
};

struct NoLock final : io::DirectoryLock {};

}  // namespace

Result<std::unique_ptr<io::File>> ForgetfulDisk::open(const std::string& path, io::OpenMode mode) {
  const bool may_create = mode == io::OpenMode::kCreate || mode == io::OpenMode::kCreateNew;
  if (!may_create && !sizes_.contains(path)) {
    return fail(ErrorCode::kNotFound, path + " is not there");
  }
  auto& size_bytes = sizes_[path];
  if (!size_bytes) {
    size_bytes = std::make_shared<std::uint64_t>(0);
  }
  return std::make_unique<ForgetfulFile>(size_bytes);
}

Status ForgetfulDisk::rename(const std::string& from, const std::string& to) {
  if (auto moved = sizes_.extract(from)) {
    moved.key() = to;
    sizes_.insert(std::move(moved));
  }
  return {};
}

Status ForgetfulDisk::remove(const std::string& path) {
  if (sizes_.erase(path) == 0) {
    return fail(ErrorCode::kNotFound, path + " is not there");
  }
  return {};
}

Result<std::unique_ptr<io::DirectoryLock>> ForgetfulDisk::lock_directory(const std::string&) {
  return std::make_unique<NoLock>();
}

}  // namespace onceflow::log
