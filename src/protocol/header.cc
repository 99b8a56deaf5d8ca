// Headers of requests and responses.
#include "protocol/header.h"

#include <limits>

#include "protocol/api_table.h"
#include "protocol/codec.h"

namespace onceflow::protocol {

std::int16_t request_header_version(ApiKey key, std::int16_t api_version) {
  const ApiInfo* api = find_api(key);
  return api && api->is_flexible(api_version) ? 2 : 1;
}

std::int16_t response_header_version(ApiKey key, std::int16_t api_version) {
  const ApiInfo* api = find_api(key);
  return api && key != ApiKey::kApiVersions && api->is_flexible(api_version) ? 1 : 0;
}

Result<RequestHeader> RequestHeader::decode(WireReader& reader) {
  WireReader ahead = reader;
  const auto key = static_cast<ApiKey>(ahead.read_int16());
  const std::int16_t version = ahead.read_int16();
  return decode(reader, request_header_version(key, version));
}

void RequestHeader::encode(WireWriter& writer) const {
  encode(writer, request_header_version(api_key, api_version));
}

Result<RequestHeader> RequestHeader::decode(WireReader& reader, std::int16_t header_version) {
  CHECK(header_version >= 0 && header_version <= 2);
  RequestHeader header;
  header.api_key = static_cast<ApiKey>(reader.read_int16());
  header.api_version = reader.read_int16();
  header.correlation_id = reader.read_int32();
  if (header_version >= 1) {
    codec::read_string(reader, false, true, header.client_id);
  }
  if (header_version >= 2) {
    codec::skip_tagged_fields(reader);
  }
  if (!reader.ok()) {
    return codec::malformed("RequestHeader", header_version);
  }
  return header;
}

void RequestHeader::encode(WireWriter& writer, std::int16_t header_version) const {
  CHECK(header_version >= 0 && header_version <= 2);
  writer.write_int16(static_cast<std::int16_t>(api_key));
  writer.write_int16(api_version);
  writer.write_int32(correlation_id);
  if (header_version >= 1) {
    codec::write_string(writer, false, true, client_id);
  }
  if (header_version >= 2) {
    writer.write_unsigned_varint(0);
  }
}

Result<ResponseHeader> ResponseHeader::decode(WireReader& reader, std::int16_t header_version) {
  CHECK(header_version == 0 || header_version == 1);
  ResponseHeader header;
  header.correlation_id = reader.read_int32();
  if (header_version >= 1) {
    codec::skip_tagged_fields(reader);
  }
  if (!reader.ok()) {
    return codec::malformed("ResponseHeader", header_version);
  }
  return header;
}

void ResponseHeader::encode(WireWriter& writer, std::int16_t header_version) const {
  CHECK(header_version == 0 || header_version == 1);
  writer.write_int32(correlation_id);
  if (header_version >= 1) {
    writer.write_unsigned_varint(0);
  }
}

std::size_t begin_frame(WireWriter& writer) {
  const std::size_t position = writer.position();
  writer.write_int32(0);
  return position;
}

void finish_frame(WireWriter& writer, std::size_t frame_position) {
  const std::size_t size =
      writer.position() + writer.spliced_bytes() - frame_position - kFrameSizeBytes;
  CHECK(std::cmp_less_equal(size, std::numeric_limits<std::int32_t>::max()));
  writer.patch_integer(frame_position, static_cast<std::int32_t>(size));
}

}  // namespace onceflow::protocol
