// SparseBytes: the content of a simulated file. Pages that were never written cost nothing.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <map>

#include "base/bytes.h"

namespace onceflow::sim {

class SparseBytes {
 public:
  std::uint64_t size() const { return size_bytes_; }

  /// Grows with zeros, or cuts.
  void resize(std::uint64_t size_bytes) {
    if (size_bytes < size_bytes_) {
      pages_.erase(pages_.lower_bound((size_bytes + kPageBytes - 1) / kPageBytes), pages_.end());
      if (const auto last = pages_.find(size_bytes / kPageBytes); last != pages_.end()) {
        const std::size_t kept = size_bytes % kPageBytes;
        std::memset(last->second.data() + kept, 0, kPageBytes - kept);
      }
    }
    size_bytes_ = size_bytes;
  }

  void write(std::uint64_t offset, ByteView bytes) {
    size_bytes_ = std::max(size_bytes_, offset + bytes.size());
    while (!bytes.empty()) {
      const std::size_t within = offset % kPageBytes;
      const std::size_t count = std::min(bytes.size(), kPageBytes - within);
      const auto [page, is_new] = pages_.try_emplace(offset / kPageBytes);
      if (is_new) {
        page->second.fill(std::byte{0});
      }
      std::memcpy(page->second.data() + within, bytes.data(), count);
      offset += count;
      bytes = bytes.subspan(count);
    }
  }

  /// Returns how many bytes there were.
  std::size_t read(std::uint64_t offset, MutableByteView destination) const {
    if (offset >= size_bytes_) {
      return 0;
    }
    const auto total =
        static_cast<std::size_t>(std::min<std::uint64_t>(destination.size(), size_bytes_ - offset));
    for (std::size_t done = 0; done < total;) {
      const std::size_t within = (offset + done) % kPageBytes;
      const std::size_t count = std::min(total - done, kPageBytes - within);
      const auto page = pages_.find((offset + done) / kPageBytes);
      if (page == pages_.end()) {
        std::memset(destination.data() + done, 0, count);
      } else {
        std::memcpy(destination.data() + done, page->second.data() + within, count);
      }
      done += count;
    }
    return total;
  }

 private:
  static constexpr std::size_t kPageBytes = 4096;
  std::map<std::uint64_t, std::array<std::byte, kPageBytes>> pages_;
  std::uint64_t size_bytes_ = 0;
};

}  // namespace onceflow::sim
