// UTF-8: whether bytes are it, and code points written in it (RFC 3629: no surrogates, nothing
// above U+10FFFF, nothing longer than need be).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace onceflow {

/// Where the first byte is that does not belong to a whole, shortest, allowed sequence; npos if
/// all is UTF-8.
std::size_t find_invalid_utf8(std::string_view bytes);
inline bool is_utf8(std::string_view bytes) {
  return find_invalid_utf8(bytes) == std::string_view::npos;
}

/// For messages: control characters and bytes that are not UTF-8 become \x00 to \xff.
std::string printable(std::string_view bytes);
/// As UTF-8: bytes that are not become \x80 to \xff, so that different ones stay different.
std::string as_utf8(std::string_view bytes);

/// `code_point` is a scalar value: no surrogate, at most 0x10ffff.
void append_utf8(std::string& text, std::uint32_t code_point);

}  // namespace onceflow
