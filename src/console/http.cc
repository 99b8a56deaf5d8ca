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

int hexadecimal_digit(char letter) {
  if (letter >= '0' && letter <= '9') {
    return letter - '0';
  }
  const char small = static_cast<char>(letter | 0x20);
  return small >= 'a' && small <= 'f' ? small - 'a' + 10 : -1;
}

// What is no escape stays as it is.
std::string percent_decoded(std::string_view text) {
  std::string decoded;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const int high = text[at] == '%' && at + 2 < text.size() ? hexadecimal_digit(text[at + 1]) : -1;
    const int low = high >= 0 ? hexadecimal_digit(text[at + 2]) : -1;
    if (low >= 0) {
      decoded += static_cast<char>(high * 16 + low);
      at += 2;
    } else {
      decoded += text[at] == '+' ? ' ' : text[at];
    }
  }
  return decoded;
}

void parse_query(std::string_view text, std::map<std::string, std::string>& query) {
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(part.size() + 1, text.size()));
    const std::size_t equals = part.find('=');
    const std::string_view value =
        equals == std::string_view::npos ? std::string_view() : part.substr(equals + 1);
    query.insert_or_assign(percent_decoded(part.substr(0, equals)), percent_decoded(value));
  }
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
  const std::size_t path_end = target.find('?');
  request.path = target.substr(0, path_end);
  if (path_end != std::string_view::npos) {
    parse_query(target.substr(path_end + 1), request.query);
  }
  request.takes_chunks = version == "HTTP/1.1";
  request.keeps_alive = request.takes_chunks;
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

std::string to_http_head(const HttpResponse& response, const HttpRequest& request,
                         BodyLength body) {
  const bool stays_open = request.keeps_alive && body != BodyLength::kToTheClose;
  std::string length;
  if (body == BodyLength::kKnown) {
    length = fmt::format("Content-Length: {}\r\n", response.body.size());
  } else if (body == BodyLength::kChunked) {
    length = "Transfer-Encoding: chunked\r\n";
  }
  return fmt::format(
      "HTTP/1.1 {} {}\r\nContent-Type: {}\r\n{}Cache-Control: no-store\r\nConnection: {}\r\n\r\n",
      response.status, reason(response.status), response.content_type, length,
      stays_open ? "keep-alive" : "close");
}

std::string to_http(const HttpResponse& response, const HttpRequest& request) {
  std::string text = to_http_head(response, request, BodyLength::kKnown);
  if (request.method != "HEAD") {
    text += response.body;
  }
  return text;
}

void frame_chunk(std::string& text) {
  const std::string head =
      fmt::format("{:0{}x}\r\n", text.size() - kChunkHeadBytes, kChunkHeadBytes - 2);
  std::ranges::copy(head, text.begin());
  text += "\r\n";
}

std::string percent_encoded(std::string_view text) {
  std::string encoded;
  for (const char letter : text) {
    const bool is_plain = (letter >= '0' && letter <= '9') || (letter >= 'a' && letter <= 'z') ||
                          (letter >= 'A' && letter <= 'Z') || letter == '-' || letter == '.' ||
                          letter == '_' || letter == '~';
    encoded += is_plain ? std::string(1, letter)
                        : fmt::format("%{:02X}", static_cast<unsigned char>(letter));
  }
  return encoded;
}

}  // namespace onceflow::console
