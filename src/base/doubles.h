// What a double can stand for.
#pragma once

#include <cstdint>

namespace onceflow {

/// Whether a double is this integer. All to 2^53 are, and some beyond.
constexpr bool is_a_double(std::int64_t integer) {
  const auto nearest = static_cast<double>(integer);
  return nearest < 0x1p63 && static_cast<std::int64_t>(nearest) == integer;
}

}  // namespace onceflow
