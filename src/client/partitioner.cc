// Kafka's murmur2 and its default partitioner.
#include "client/partitioner.h"

#include <cstring>

#include "base/check.h"

namespace onceflow::client {

std::uint32_t murmur2(ByteView bytes) {
  constexpr std::uint32_t kMultiplier = 0x5bd1e995;
  constexpr std::uint32_t kSeed = 0x9747b28c;
  const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data());
  const std::size_t size = bytes.size();
  std::uint32_t hash = kSeed ^ static_cast<std::uint32_t>(size);
  const std::size_t whole = size / 4 * 4;
  for (std::size_t index = 0; index < whole; index += 4) {
    // Little-endian whatever the machine.
    std::uint32_t word = static_cast<std::uint32_t>(data[index]) |
                         static_cast<std::uint32_t>(data[index + 1]) << 8 |
                         static_cast<std::uint32_t>(data[index + 2]) << 16 |
                         static_cast<std::uint32_t>(data[index + 3]) << 24;
    word *= kMultiplier;
    word ^= word >> 24;
    word *= kMultiplier;
    hash *= kMultiplier;
    hash ^= word;
  }
  if (size % 4 >= 3) {
    hash ^= static_cast<std::uint32_t>(data[whole + 2]) << 16;
  }
  if (size % 4 >= 2) {
    hash ^= static_cast<std::uint32_t>(data[whole + 1]) << 8;
  }
  if (size % 4 >= 1) {
    hash ^= static_cast<std::uint32_t>(data[whole]);
    hash *= kMultiplier;
  }
  hash ^= hash >> 13;
  hash *= kMultiplier;
  hash ^= hash >> 15;
  return hash;
}

PartitionIndex partition_of_key(ByteView key, std::int32_t partition_count) {
  CHECK(partition_count > 0);
  const auto positive = static_cast<std::int32_t>(murmur2(key) & 0x7fffffff);
  return PartitionIndex(positive % partition_count);
}

}  // namespace onceflow::client
