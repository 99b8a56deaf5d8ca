// SalvagedSegment: one segment file read over damage, for salvage: whole batches in order, whatever
// lies between them. Reads alone; owned by a Salvage.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "io/disk.h"
#include "log/file_window.h"
#include "log/segments.h"
#include "protocol/record_batch.h"

namespace onceflow::log {

class SalvagedSegment {
 public:
  static Result<SalvagedSegment> open(io::Disk& disk, const std::string& path);

  /// Whether all that the checkpoint knows of the segment is there, and is what was written.
  enum class Verdict {
    kWhole,
    kDamaged,  ///< some of it cannot be read
    kForeign,  ///< all of it can be read, and it is not what was written there
    kUnknown,  ///< the checkpoint has no hash of it
  };
  Result<Verdict> judge(const SegmentSummary& summary, Offset next_offset);

  /// The offset with which the file begins; nullopt if its first batch cannot be read.
  Result<std::optional<Offset>> begin();
  /// The next whole batch whose offsets begin at `expected` or after it; nullopt at the end. The
  /// bytes are good until the next call.
  Result<std::optional<protocol::RecordBatchView>> next(Offset expected);
  /// Where, in bytes, what lies before the batch that next() gave, or before the end, could not be
  /// read; nullopt if all could.
  std::optional<std::uint64_t> damaged_at() const { return damaged_at_; }
  std::uint64_t size_bytes() const { return size_bytes_; }
  std::uint64_t position() const { return position_; }

 private:
  SalvagedSegment(std::unique_ptr<io::File> file, std::uint64_t size_bytes);

  using Found = Result<std::optional<protocol::RecordBatchView>>;
  Found whole_batch_at(std::uint64_t position, Offset expected);
  Result<std::uint64_t> find_next(std::uint64_t position, Offset expected);
  Result<bool> leads_on(const protocol::RecordBatchHeader& header, std::uint64_t end);

  std::unique_ptr<io::File> file_;
  FileWindow window_;
  std::uint64_t size_bytes_;
  std::uint64_t position_ = 0;
  std::optional<std::uint64_t> damaged_at_;
};

}  // namespace onceflow::log
