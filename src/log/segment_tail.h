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
  /// Of `owner`s, those are held whose bytes are at least this many: they alone fill a flush.
  static constexpr std::size_t kHeldBytesMin = 64u << 10;

  std::size_t size_bytes() const { return size_bytes_; }
  void append(const OwnedBytes& bytes);
  /// The first bytes that lie in one run, at most `bytes_max`.
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
