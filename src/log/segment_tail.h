// SegmentTail: the bytes of a segment that are not in its file yet. Owned by its Segment.
//
// Small batches are copied together, so that one write takes them all. A large one stays where the
// journal gathered it, and its owner with it, until it has been written: a copy of it would cost
// about as much as writing it.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "base/bytes.h"

namespace onceflow::log {

/// Bytes that stay where they are, unchanged, as long as their owner is held.
struct OwnedBytes {
  ByteView bytes;
  std::shared_ptr<const void> owner;  ///< without one, the bytes are valid for the call only
};

class SegmentTail {
 public:
  std::size_t size_bytes() const { return size_bytes_; }
  /// Held, not copied, are the bytes of an owner if they are at least `held_bytes_min`.
  void append(const OwnedBytes& bytes, std::size_t held_bytes_min);
  /// The first bytes that lie in one run, at most `bytes_max`; none only if there are none.
  ByteView front(std::size_t bytes_max) const;
  /// Forgets the first `bytes`, no more than front() gave.
  void drop_front(std::size_t bytes);
  /// The bytes from `position` on, all of which are there.
  void copy(std::size_t position, MutableByteView destination) const;
  /// Gives back memory that an empty tail keeps for the next batches.
  void shrink();

 private:
  struct Piece {
    Buffer copied;
    OwnedBytes held;

    ByteView bytes() const { return held.owner ? held.bytes : ByteView(copied); }
  };

  std::vector<Piece> pieces_;
  std::size_t dropped_bytes_ = 0;  ///< of the first piece
  std::size_t size_bytes_ = 0;
};

}  // namespace onceflow::log
