// FrameBuffers: the memory of the journal's frames, used again and again: fresh pages cost more
// than what is written into them. Owned by a Journal, on its thread.
//
// A buffer comes back when the last of those who hold it lets go: the frame, and the segments that
// have not written yet what lies in it. They may outlive the Journal.
#pragma once

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "io/disk.h"

namespace onceflow::log {

class FrameBuffers {
 public:
  /// Those of `size_bytes_min` to `size_bytes_max` are kept, `count_max` at a time.
  FrameBuffers(std::size_t size_bytes_min, std::size_t size_bytes_max, std::size_t count_max)
      : size_bytes_min_(size_bytes_min),
        size_bytes_max_(size_bytes_max),
        spare_(std::make_shared<Spare>(Spare{{}, count_max})) {}

  /// At least `needed_bytes`; what is in it is left over from before.
  std::shared_ptr<io::BlockBuffer> take(std::size_t needed_bytes) {
    auto& spare = spare_->buffers;
    const auto fitting = std::ranges::find_if(
        spare, [&](const auto& buffer) { return buffer->size() >= needed_bytes; });
    std::unique_ptr<io::BlockBuffer> buffer;
    if (fitting != spare.end()) {
      buffer = std::move(*fitting);
      spare.erase(fitting);
    } else {
      buffer = std::make_unique<io::BlockBuffer>(std::max(size_bytes_min_, needed_bytes));
    }
    if (buffer->size() > size_bytes_max_) {
      return buffer;
    }
    return {buffer.release(), [keeper = spare_](io::BlockBuffer* returned) {
              std::unique_ptr<io::BlockBuffer> owned(returned);
              if (keeper->buffers.size() < keeper->count_max) {
                keeper->buffers.push_back(std::move(owned));
              }
            }};
  }

 private:
  struct Spare {
    std::vector<std::unique_ptr<io::BlockBuffer>> buffers;
    std::size_t count_max;
  };

  std::size_t size_bytes_min_;
  std::size_t size_bytes_max_;
  std::shared_ptr<Spare> spare_;  // shared with buffers that may outlive us
};

}  // namespace onceflow::log
