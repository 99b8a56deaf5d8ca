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

  /// At least `needed_bytes`, and the largest there is, so that a frame need not move while it
  /// grows; what is in it is left over from before.
  std::shared_ptr<io::BlockBuffer> take(std::size_t needed_bytes) {
    auto& spare = spare_->buffers;
    std::unique_ptr<io::BlockBuffer> buffer;
    if (!spare.empty() && spare.back()->size() >= needed_bytes) {
      buffer = std::move(spare.back());
      spare.pop_back();
    } else {
      buffer = std::make_unique<io::BlockBuffer>(std::max(size_bytes_min_, needed_bytes));
    }
    if (buffer->size() > size_bytes_max_) {
      return buffer;
    }
    return {buffer.release(), [keeper = spare_](io::BlockBuffer* returned) {
              keeper->give_back(std::unique_ptr<io::BlockBuffer>(returned));
            }};
  }

 private:
  struct Spare {
    std::vector<std::unique_ptr<io::BlockBuffer>> buffers;  // by size
    std::size_t count_max;

    void give_back(std::unique_ptr<io::BlockBuffer> buffer) {
      buffers.insert(std::ranges::upper_bound(buffers, buffer->size(), {},
                                              [](const auto& other) { return other->size(); }),
                     std::move(buffer));
      if (buffers.size() > count_max) {
        buffers.erase(buffers.begin());
      }
    }
  };

  std::size_t size_bytes_min_;
  std::size_t size_bytes_max_;
  std::shared_ptr<Spare> spare_;  // shared with buffers that may outlive us
};

}  // namespace onceflow::log
