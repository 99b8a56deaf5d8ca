#include "log/segment_tail.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace onceflow::log {

namespace {
constexpr std::size_t kKeptCapacityMax = 256u << 10;
}  // namespace

void SegmentTail::append(const OwnedBytes& bytes, std::size_t held_bytes_min) {
  const bool was_empty = size_bytes_ == 0;
  size_bytes_ += bytes.bytes.size();
  if (bytes.owner && bytes.bytes.size() >= held_bytes_min) {
    if (was_empty) {
      pieces_.clear();  // of the memory that an empty tail keeps
    }
    pieces_.push_back({{}, bytes});
    return;
  }
  if (pieces_.empty() || pieces_.back().held.owner) {
    pieces_.emplace_back();
  }
  Buffer& last = pieces_.back().copied;
  if (pieces_.size() == 1 && dropped_bytes_ > last.size() / 2) {
    last.erase(last.begin(), last.begin() + static_cast<std::ptrdiff_t>(dropped_bytes_));
    dropped_bytes_ = 0;
  }
  onceflow::append(last, bytes.bytes);
}

ByteView SegmentTail::front(std::size_t bytes_max) const {
  if (size_bytes_ == 0) {
    return {};
  }
  const ByteView rest = pieces_.front().bytes().subspan(dropped_bytes_);
  return rest.first(std::min(bytes_max, rest.size()));
}

void SegmentTail::drop_front(std::size_t bytes) {
  if (bytes == 0) {
    return;
  }
  const std::size_t first_bytes = pieces_.front().bytes().size();
  dropped_bytes_ += bytes;
  size_bytes_ -= bytes;
  CHECK(dropped_bytes_ <= first_bytes);
  if (dropped_bytes_ < first_bytes) {
    return;
  }
  dropped_bytes_ = 0;
  if (pieces_.size() == 1 && !pieces_.front().held.owner) {
    pieces_.front().copied.clear();  // its memory serves the next ones
  } else {
    pieces_.erase(pieces_.begin());
  }
}

void SegmentTail::copy(std::size_t position, MutableByteView destination) const {
  CHECK(position + destination.size() <= size_bytes_);
  position += dropped_bytes_;
  for (const Piece& piece : pieces_) {
    const ByteView bytes = piece.bytes();
    if (position >= bytes.size()) {
      position -= bytes.size();
      continue;
    }
    const std::size_t count = std::min(destination.size(), bytes.size() - position);
    if (count == 0) {
      return;
    }
    std::memcpy(destination.data(), bytes.data() + position, count);
    destination = destination.subspan(count);
    position = 0;
  }
}

void SegmentTail::shrink() {
  if (size_bytes_ == 0 && !pieces_.empty() &&
      pieces_.front().copied.capacity() > kKeptCapacityMax) {
    pieces_.clear();
  }
}

}  // namespace onceflow::log
