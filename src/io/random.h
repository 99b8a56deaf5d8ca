// Randomness, passed in.
#pragma once

#include <cstdint>

#include "base/ids.h"
#include "base/wire.h"

namespace onceflow::io {

class Random {
 public:
  virtual ~Random() = default;
  virtual std::uint64_t next() = 0;

  /// Uniform in [0, bound); bound > 0. The bias of the modulus is below 2^-32 for bounds below
  /// 2^32.
  std::uint64_t below(std::uint64_t bound) { return next() % bound; }
  /// A random identity of version 4 form, never zero.
  TopicId uuid() {
    TopicId id;
    for (std::size_t half = 0; half < 2; ++half) {
      const std::uint64_t raw = next();
      for (std::size_t index = 0; index < 8; ++index) {
        id.bytes[half * 8 + index] = static_cast<std::uint8_t>(raw >> (index * 8));
      }
    }
    id.bytes[6] = static_cast<std::uint8_t>((id.bytes[6] & 0x0f) | 0x40);
    id.bytes[8] = static_cast<std::uint8_t>((id.bytes[8] & 0x3f) | 0x80);
    return id;
  }
};

}  // namespace onceflow::io
