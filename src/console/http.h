// The small part of HTTP/1.0 and 1.1 that a status page needs: requests without a body in, whole
// answers out. Values, stateless. Nothing is believed: see StatusServer for the bounds.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace onceflow::console {

struct HttpRequest {
  std::string method;
  std::string path;                          ///< without the query
  std::map<std::string, std::string> query;  ///< decoded; of a name that is given twice the last
  bool keeps_alive = false;
  bool takes_chunks = false;  ///< HTTP/1.1
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

/// How the end of a body is told.
enum class BodyLength {
  kKnown,       ///< by its length
  kChunked,     ///< by an empty chunk
  kToTheClose,  ///< by the end of the connection: HTTP/1.0
};

/// What stands at the front of the bytes that have come.
struct ParsedRequest {
  enum class Kind { kIncomplete, kMalformed, kComplete };
  Kind kind = Kind::kIncomplete;
  HttpRequest request;
  std::size_t size_bytes = 0;  ///< of the whole request, if it is complete
};

/// A request that announces a body is malformed.
ParsedRequest parse_http_request(std::string_view bytes);

/// Head and body; only the head of what is asked for with HEAD.
std::string to_http(const HttpResponse& response, const HttpRequest& request);
/// The head alone; `body` is what it says of the length.
std::string to_http_head(const HttpResponse& response, const HttpRequest& request, BodyLength body);

/// Makes a chunk of `text`, which begins with room of kChunkHeadBytes for the chunk's head.
inline constexpr std::size_t kChunkHeadBytes = 10;
void frame_chunk(std::string& text);
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";

/// As a value in a query.
std::string percent_encoded(std::string_view text);

}  // namespace onceflow::console
