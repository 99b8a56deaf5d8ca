// ForgetfulDisk: a Disk that takes everything in and keeps nothing but sizes, for rehearsals: what
// is run on it does all of its work and leaves no trace. Callbacks come at once.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "io/disk.h"

namespace onceflow::log {

class ForgetfulDisk final : public io::Disk {
 public:
  Result<std::unique_ptr<io::File>> open(const std::string& path, io::OpenMode mode) override;
  Result<bool> exists(const std::string& path) override { return sizes_.contains(path); }
  Result<std::vector<io::DirectoryEntry>> list(const std::string&) override {
    return std::vector<io::DirectoryEntry>();
  }
  Status make_directory(const std::string&) override { return {}; }
  Status rename(const std::string& from, const std::string& to) override;
  Status remove(const std::string& path) override;
  Status sync_directory(const std::string&) override { return {}; }
  void async_sync_directory(const std::string&, Callback<void(Status)> callback) override {
    callback({});
  }
  Result<std::unique_ptr<io::DirectoryLock>> lock_directory(const std::string&) override;
  Result<std::uint64_t> free_bytes(const std::string&) override { return std::uint64_t{1} << 62; }

 private:
  std::map<std::string, std::shared_ptr<std::uint64_t>> sizes_;  // shared with open files
};

}  // namespace onceflow::log
