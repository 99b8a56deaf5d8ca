// CRC-32C (Castagnoli), as in record batches, the journal and every checksum of ours.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace onceflow {

/// `previous` is the checksum of the bytes before these, to go on from; 0 to begin.
std::uint32_t crc32c(ByteView bytes, std::uint32_t previous = 0);

}  // namespace onceflow
