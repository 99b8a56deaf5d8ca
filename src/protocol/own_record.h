// What the records that only this program writes (receipts, definitions) begin with, in every
// version: int8 version, uint32 CRC-32C of everything after it. So a record of another program is
// told from one that was altered, and from one of a later version.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"
#include "base/wire.h"

namespace onceflow::protocol {

struct OwnRecordVersions {
  std::int8_t first = 1;
  std::int8_t last = 1;
};

/// Its version; the reader stands after the checksum then. kUnsupported: it is not one of ours,
/// whatever it is; kCorrupt: it was altered, or is of a later version. `name` is "receipt".
Result<std::int8_t> read_own_record(WireReader& reader, ByteView bytes, std::string_view name,
                                    OwnRecordVersions versions);

}  // namespace onceflow::protocol
