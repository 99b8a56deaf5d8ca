// Bytes: views and owned buffers, and the conversions between bytes and text.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace onceflow {

/// A view of bytes that somebody else owns.
using ByteView = std::span<const std::byte>;
using MutableByteView = std::span<std::byte>;

/// Leaves new elements uninitialised, so that growing a buffer to receive into costs no memset.
template <typename T>
struct UninitialisedAllocator : std::allocator<T> {
  template <typename U>
  struct rebind {
    using other = UninitialisedAllocator<U>;
  };
  template <typename U, typename... Args>
  void construct(U* place, Args&&... args) {
    if constexpr (sizeof...(Args) == 0) {
      ::new (static_cast<void*>(place)) U;
    } else {
      ::new (static_cast<void*>(place)) U(std::forward<Args>(args)...);
    }
  }
};

/// An owned, growable run of bytes; resize() leaves the new bytes uninitialised.
using Buffer = std::vector<std::byte, UninitialisedAllocator<std::byte>>;

inline ByteView as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}
inline std::string_view as_text(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline Buffer to_buffer(ByteView bytes) { return Buffer(bytes.begin(), bytes.end()); }
inline Buffer to_buffer(std::string_view text) { return to_buffer(as_bytes(text)); }
inline void append(Buffer& buffer, ByteView bytes) {
  constexpr std::size_t kCapacityMin = 64;
  const std::size_t old_size = buffer.size();
  const std::size_t new_size = old_size + bytes.size();
  if (new_size > buffer.capacity()) {
    // The vector moves byte by byte when it grows, and would do so at 1, 2, 4 …
    buffer.reserve(std::max({kCapacityMin, new_size, 2 * buffer.capacity()}));
  }
  buffer.resize(new_size);
  if (!bytes.empty()) {
    std::memcpy(buffer.data() + old_size, bytes.data(), bytes.size());
  }
}
inline bool equal(ByteView left, ByteView right) {
  return left.size() == right.size() &&
         (left.empty() || std::memcmp(left.data(), right.data(), left.size()) == 0);
}

}  // namespace onceflow
