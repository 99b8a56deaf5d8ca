#include "console/http.h"

#include <fmt/format.h>

#include <algorithm>

namespace onceflow::console {
namespace {

std::string_view reason(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 503:
      return "Service Unavailable";
    default:
      return "Error";
  }
}

std::string lower(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(), [](char letter) {
    return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
  });
  return result;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) {
    text.remove_prefix(1);
  }
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) {
    text.remove_suffix(1);
  }
  return text;
}

bool parse_request_line(std::string_view line, HttpRequest& request) {
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == 0 || first == std::string_view::npos || last == first) {
    return false;
  }
  const std::string_view version = line.substr(last + 1);
  const std::string_view target = line.substr(first + 1, last - first - 1);
  if ((version != "HTTP/1.1" && version != "HTTP/1.0") || !target.starts_with('/') ||
      target.find(' ') != std::string_view::npos) {
    return false;
  }
  request.method = line.substr(0, first);
  request.path = target.substr(0, target.find('?'));
  request.keeps_alive = version == "HTTP/1.1";
  return true;
}

bool parse_header(std::string_view line, HttpRequest& request) {
  const std::size_t colon = line.find(':');
  if (colon == 0 || colon == std::string_view::npos) {
    return false;
  }
  const std::string name = lower(line.substr(0, colon));
  const std::string value = lower(trim(line.substr(colon + 1)));
  if (name == "connection") {
    request.keeps_alive = value == "keep-alive" || (request.keeps_alive && value != "close");
  }
  return name != "transfer-encoding" && (name != "content-length" || value == "0");
}

}  // namespace

ParsedRequest parse_http_request(std::string_view bytes) {
  constexpr std::string_view kLineEnd = "\r\n";
  ParsedRequest parsed;
  const std::size_t end = bytes.find("\r\n\r\n");
  if (end == std::string_view::npos) {
    return parsed;
  }
  parsed.size_bytes = end + 2 * kLineEnd.size();
  parsed.kind = ParsedRequest::Kind::kMalformed;
  std::string_view rest = bytes.substr(0, end + kLineEnd.size());
  for (bool is_first = true; !rest.empty(); is_first = false) {
    const std::size_t line_end = rest.find(kLineEnd);
    const std::string_view line = rest.substr(0, line_end);
    if (!(is_first ? parse_request_line(line, parsed.request)
                   : parse_header(line, parsed.request))) {
      return parsed;
    }
    rest.remove_prefix(line_end + kLineEnd.size());
  }
  parsed.kind = ParsedRequest::Kind::kComplete;
  return parsed;
}

std::string to_http(const HttpResponse& response, const HttpRequest& request) {
  std::string text = fmt::format(
      "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nCache-Control: no-store\r\n"
      "Connection: {}\r\n\r\n",
      response.status, reason(response.status), response.content_type, response.body.size(),
      request.keeps_alive ? "keep-alive" : "close");
  if (request.method != "HEAD") {
    text += response.body;
  }
  return text;
}

}  // namespace onceflow::console
