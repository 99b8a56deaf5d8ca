// The small part of HTTP/1.0 and 1.1 that a status page needs: requests without a body in, whole
// answers out. Values, stateless. Nothing is believed: see StatusServer for the bounds.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace onceflow::console {

struct HttpRequest {
  std::string method;
  std::string path;  ///< without the query
  bool keeps_alive = false;
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
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

}  // namespace onceflow::console
