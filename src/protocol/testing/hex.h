// For tests: bytes as hexadecimal digits and back.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/check.h"

namespace onceflow::protocol::testing {

inline std::string to_hex(ByteView bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const std::byte octet : bytes) {
    text += kDigits[std::to_integer<unsigned>(octet) >> 4];
    text += kDigits[std::to_integer<unsigned>(octet) & 0xf];
  }
  return text;
}

/// Blanks between digits are skipped.
inline Buffer from_hex(std::string_view text) {
  Buffer bytes;
  int digits = 0;
  unsigned octet = 0;
  for (const char character : text) {
    if (character == ' ' || character == '\n') {
      continue;
    }
    const auto digit = std::string_view("0123456789abcdef").find(character);
    CHECK(digit != std::string_view::npos);
    octet = octet * 16 + static_cast<unsigned>(digit);
    if (++digits % 2 == 0) {
      bytes.push_back(static_cast<std::byte>(octet));
      octet = 0;
    }
  }
  CHECK(digits % 2 == 0);
  return bytes;
}

}  // namespace onceflow::protocol::testing
