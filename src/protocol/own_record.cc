#include "protocol/own_record.h"

#include <fmt/format.h>

#include "base/crc32c.h"

namespace onceflow::protocol {

Result<std::int8_t> read_own_record(WireReader& reader, ByteView bytes, std::string_view name,
                                    OwnRecordVersions versions) {
  const std::int8_t version = reader.read_int8();
  const std::uint32_t checksum = reader.read_uint32();
  const bool is_whole = reader.ok() && crc32c(bytes.subspan(reader.position())) == checksum;
  const bool is_known = version >= versions.first && version <= versions.last;
  if (is_whole && is_known) {
    return version;
  }
  if (is_whole && version > versions.last) {
    return fail(ErrorCode::kCorrupt,
                fmt::format("{}: version is {}, this program reads versions {} and {}", name,
                            version, versions.first, versions.last));
  }
  if (reader.ok() && is_known) {
    return fail(ErrorCode::kCorrupt, fmt::format("{}: checksum does not match", name));
  }
  return fail(ErrorCode::kUnsupported, fmt::format("not a {} of onceflow", name));
}

}  // namespace onceflow::protocol
