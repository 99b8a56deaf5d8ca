// Which partition a key belongs to: Kafka's own default (murmur2 over the key's bytes), so that a
// key meets the same partition whichever client wrote it.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/ids.h"

namespace onceflow::client {

std::uint32_t murmur2(ByteView bytes);
/// partition_count > 0.
PartitionIndex partition_of_key(ByteView key, std::int32_t partition_count);

}  // namespace onceflow::client
