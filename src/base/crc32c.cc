#include "base/crc32c.h"

#include <isa-l/crc.h>

#include <algorithm>
#include <limits>

namespace onceflow {

std::uint32_t crc32c(ByteView bytes, std::uint32_t previous) {
  // ISA-L takes an int length and leaves both inversions to the caller.
  std::uint32_t state = ~previous;
  while (!bytes.empty()) {
    const std::size_t count =
        std::min(bytes.size(), static_cast<std::size_t>(std::numeric_limits<int>::max()));
    auto* data = const_cast<unsigned char*>(reinterpret_cast<const unsigned char*>(bytes.data()));
    state = crc32_iscsi(data, static_cast<int>(count), state);
    bytes = bytes.subspan(count);
  }
  return ~state;
}

}  // namespace onceflow
