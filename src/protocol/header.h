// Headers of requests and responses, and whole frames: size, header, body. Values, stateless.
//
// Request header v1 is key, version, correlation id and client id; v2 adds tagged fields, v0 lacks
// the client id. The client id keeps its old form (int16 length) even in v2. Response header v0 is
// the correlation id; v1 adds tagged fields. Flexible requests have v2 and v1, others v1 and v0;
// but the response to ApiVersions always has v0, since a client that asks for a version we lack
// must be able to read the answer (KIP-511).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/check.h"
#include "base/result.h"
#include "base/wire.h"
#include "protocol/api_key.h"

namespace onceflow::protocol {

/// The header version of a request; of an unknown API 1, of which the first 8 bytes hold anyway.
std::int16_t request_header_version(ApiKey key, std::int16_t api_version);
std::int16_t response_header_version(ApiKey key, std::int16_t api_version);

struct RequestHeader {
  ApiKey api_key{};
  std::int16_t api_version = 0;
  std::int32_t correlation_id = 0;
  std::optional<std::string> client_id;

  /// The header version follows from key and version in its first bytes.
  static Result<RequestHeader> decode(WireReader& reader);
  void encode(WireWriter& writer) const;

  static Result<RequestHeader> decode(WireReader& reader, std::int16_t header_version);
  void encode(WireWriter& writer, std::int16_t header_version) const;

  bool operator==(const RequestHeader& other) const = default;
};

struct ResponseHeader {
  std::int32_t correlation_id = 0;

  static Result<ResponseHeader> decode(WireReader& reader, std::int16_t header_version);
  void encode(WireWriter& writer, std::int16_t header_version) const;

  bool operator==(const ResponseHeader& other) const = default;
};

/// Bytes of the size that stands before each request and response, itself not counted in it.
inline constexpr std::size_t kFrameSizeBytes = 4;

/// Begins a frame at the writer's end; finish_frame(writer, its result) fills in the size.
std::size_t begin_frame(WireWriter& writer);
void finish_frame(WireWriter& writer, std::size_t frame_position);

/// Writes a whole request: size, header, body. One frame a writer, if that makes splices.
template <typename Request>
void encode_request_frame(WireWriter& writer, const Request& request, std::int16_t version,
                          std::int32_t correlation_id,
                          const std::optional<std::string>& client_id) {
  const std::size_t frame = begin_frame(writer);
  RequestHeader{Request::kApiKey, version, correlation_id, client_id}.encode(writer);
  request.encode(writer, version);
  finish_frame(writer, frame);
}

template <typename Request>
void encode_request_frame(Buffer& buffer, const Request& request, std::int16_t version,
                          std::int32_t correlation_id,
                          const std::optional<std::string>& client_id) {
  WireWriter writer(buffer);
  encode_request_frame(writer, request, version, correlation_id, client_id);
}

/// Appends a whole response to the buffer: size, header, body.
template <typename Response>
void encode_response_frame(Buffer& buffer, const Response& response, std::int16_t version,
                           std::int32_t correlation_id) {
  WireWriter writer(buffer);
  const std::size_t frame = begin_frame(writer);
  ResponseHeader{correlation_id}.encode(writer,
                                        response_header_version(Response::kApiKey, version));
  response.encode(writer, version);
  finish_frame(writer, frame);
}

}  // namespace onceflow::protocol
