// Fuzzes what reads files of a log that may be damaged: checkpoints of every version, the journal's
// note, index entries, records of the coordinators, a dump of each, and the reader of segments that
// goes on over damage. A checksum stands in the way of damage, so it is made right first.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "coordinator/record_dump.h"
#include "io/disk.h"
#include "log/dump.h"
#include "log/format.h"
#include "log/salvaged_segment.h"

namespace onceflow::log {
namespace {

class OneFile final : public io::File {
 public:
  explicit OneFile(ByteView bytes) : bytes_(bytes) {}
  Result<std::size_t> read_at(std::uint64_t offset, MutableByteView destination) override {
    const std::size_t begin = std::min<std::size_t>(offset, bytes_.size());
    const std::size_t count = std::min(destination.size(), bytes_.size() - begin);
    std::ranges::copy(bytes_.subspan(begin, count), destination.begin());
    return count;
  }
  Result<std::uint64_t> size() override { return bytes_.size(); }
  Status write_at(std::uint64_t, ByteView) override { return refused(); }
  Status truncate(std::uint64_t) override { return refused(); }
  void reserve(std::uint64_t) override {}
  Status sync() override { return refused(); }
  void async_sync(Callback<void(Status)>) override {}
  void async_write_durable(std::uint64_t, ByteView, Callback<void(Status)>) override {}
  void async_fill_with_zeros(std::uint64_t, Callback<void(Status)>) override {}

 private:
  static Status refused() { return fail(ErrorCode::kUnsupported, "it is only read"); }
  ByteView bytes_;
};

// One file under whatever name.
class OneFileDisk final : public io::Disk {
 public:
  explicit OneFileDisk(ByteView bytes) : bytes_(bytes) {}
  Result<std::unique_ptr<io::File>> open(const std::string&, io::OpenMode) override {
    return std::make_unique<OneFile>(bytes_);
  }
  Result<bool> exists(const std::string&) override { return true; }
  Result<std::vector<io::DirectoryEntry>> list(const std::string&) override { return refused(); }
  Status make_directory(const std::string&) override { return refused(); }
  Status rename(const std::string&, const std::string&) override { return refused(); }
  Status remove(const std::string&) override { return refused(); }
  Status sync_directory(const std::string&) override { return refused(); }
  void async_sync_directory(const std::string&, Callback<void(Status)>) override {}
  Result<std::unique_ptr<io::DirectoryLock>> lock_directory(const std::string&) override {
    return refused();
  }
  Result<std::uint64_t> free_bytes(const std::string&) override { return refused(); }

 private:
  static std::unexpected<Error> refused() {
    return fail(ErrorCode::kUnsupported, "it is only read");
  }
  ByteView bytes_;
};

void read_checkpoint(std::uint16_t version, ByteView body) {
  Buffer bytes(kCheckpointHeaderBytes);
  encode_checkpoint_header(
      {.version = version, .sequence = 1, .body_bytes = body.size(), .body_checksum = crc32c(body)},
      bytes.data());
  append(bytes, body);
  dump_checkpoint(bytes, coordinator::records_to_dump(), [](const DumpItem&) {});
}

void read_segment(ByteView bytes) {
  OneFileDisk disk(bytes);
  auto segment = SalvagedSegment::open(disk, "segment");
  CHECK(segment.has_value());
  Offset expected(0);
  while (true) {
    const auto batch = segment->next(expected);
    CHECK(batch.has_value());
    if (!*batch) {
      break;
    }
    CHECK((*batch)->header().base_offset >= expected && (*batch)->crc_matches());
    expected = (*batch)->header().next_offset();
  }
}

}  // namespace
}  // namespace onceflow::log

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace onceflow;
  using namespace onceflow::log;
  const ByteView all = std::as_bytes(std::span(data, size));
  if (all.empty()) {
    return 0;
  }
  const ByteView bytes = all.subspan(1);
  switch (data[0] % 7) {
    case 0:
      read_checkpoint(1, bytes);
      break;
    case 1:
      read_checkpoint(2, bytes);
      break;
    case 2:
      read_segment(bytes);
      break;
    case 3:
      static_cast<void>(
          coordinator::dump_record(bytes, [](const std::string&, const DumpFields&) {}));
      static_cast<void>(
          coordinator::dump_snapshot(bytes, [](const std::string&, const DumpFields&) {}));
      break;
    default: {
      constexpr const char* kNames[] = {"0001.journal", "0.index", "journal.durable"};
      OneFileDisk disk(bytes);
      static_cast<void>(dump_file(disk, kNames[data[0] % 3], coordinator::records_to_dump(),
                                  [](const DumpItem&) {}));
      static_cast<void>(decode_journal_note(bytes));
      static_cast<void>(decode_index_entry(bytes, 0));
      break;
    }
  }
  return 0;
}
