// FileWindow: a window over a file that moves forward; for those who read a file from front to back
// in pieces of any size. Owned by its reader.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/bytes.h"
#include "base/result.h"
#include "io/disk.h"

namespace onceflow::log {

class FileWindow {
 public:
  explicit FileWindow(io::File& file) : file_(file) {}

  /// Up to `count` bytes from `offset`; fewer only at the end of the file. Valid until the next
  /// call.
  Result<ByteView> view(std::uint64_t offset, std::size_t count) {
    if (offset < start_ || offset + count > start_ + filled_) {
      const auto size_bytes = file_.size();  // what a damaged length claims is not there
      RETURN_IF_ERROR(size_bytes);
      count = static_cast<std::size_t>(
          std::min<std::uint64_t>(count, *size_bytes - std::min(offset, *size_bytes)));
      if (buffer_.size() < std::max(count, kReadBytes)) {
        buffer_.resize(std::max(count, kReadBytes));
      }
      const auto read_bytes = file_.read_at(offset, buffer_);
      RETURN_IF_ERROR(read_bytes);
      start_ = offset;
      filled_ = *read_bytes;
    }
    const auto skip = static_cast<std::size_t>(offset - start_);
    return ByteView(buffer_).subspan(skip, std::min(count, filled_ - skip));
  }

 private:
  static constexpr std::size_t kReadBytes = 4u << 20;

  io::File& file_;
  Buffer buffer_;
  std::uint64_t start_ = 0;
  std::size_t filled_ = 0;
};

}  // namespace onceflow::log
