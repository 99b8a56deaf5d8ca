// BufferPool: large buffers that are not in use, so that a stream of large requests does not ask
// the system for memory each time. Owned by Server, on the broker's thread.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "base/bytes.h"

namespace onceflow::broker {

class BufferPool {
 public:
  explicit BufferPool(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  /// A buffer of at least `size_bytes`.
  Buffer take(std::size_t size_bytes) {
    for (Buffer& spare : spare_) {
      if (spare.size() >= size_bytes) {
        std::swap(spare, spare_.back());
        Buffer taken = std::move(spare_.back());
        spare_.pop_back();
        bytes_ -= taken.size();
        return taken;
      }
    }
    return Buffer(size_bytes);
  }

  /// Kept if there is room, else freed.
  void give(Buffer buffer) {
    if (bytes_ + buffer.size() <= bytes_max_) {
      bytes_ += buffer.size();
      spare_.push_back(std::move(buffer));
    }
  }

 private:
  std::size_t bytes_max_;
  std::size_t bytes_ = 0;
  std::vector<Buffer> spare_;
};

}  // namespace onceflow::broker
