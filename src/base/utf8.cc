#include "base/utf8.h"

#include <fmt/format.h>

#include <cstring>

namespace onceflow {
namespace {

struct Lead {
  std::size_t length = 0;  ///< of the sequence; 0: no sequence begins so
  unsigned char second_min = 0x80;
  unsigned char second_max = 0xbf;
};

Lead lead_of(unsigned char byte) {
  if (byte < 0x80) {
    return {1};
  }
  if (byte >= 0xc2 && byte <= 0xdf) {
    return {2};
  }
  if (byte >= 0xe0 && byte <= 0xef) {
    return {3, static_cast<unsigned char>(byte == 0xe0 ? 0xa0 : 0x80),
            static_cast<unsigned char>(byte == 0xed ? 0x9f : 0xbf)};
  }
  if (byte >= 0xf0 && byte <= 0xf4) {
    return {4, static_cast<unsigned char>(byte == 0xf0 ? 0x90 : 0x80),
            static_cast<unsigned char>(byte == 0xf4 ? 0x8f : 0xbf)};
  }
  return {};
}

}  // namespace

std::size_t find_invalid_utf8(std::string_view bytes) {
  constexpr std::uint64_t kHighBits = 0x8080808080808080;
  std::size_t index = 0;
  while (index < bytes.size()) {
    if (index + sizeof(std::uint64_t) <= bytes.size()) {
      std::uint64_t eight = 0;
      std::memcpy(&eight, bytes.data() + index, sizeof eight);
      if ((eight & kHighBits) == 0) {
        index += sizeof eight;
        continue;
      }
    }
    const auto byte_at = [&](std::size_t place) {
      return static_cast<unsigned char>(bytes[place]);
    };
    if (byte_at(index) < 0x80) {
      ++index;
      continue;
    }
    const Lead lead = lead_of(byte_at(index));
    if (lead.length == 0 || index + lead.length > bytes.size()) {
      return index;
    }
    if (byte_at(index + 1) < lead.second_min || byte_at(index + 1) > lead.second_max) {
      return index;
    }
    for (std::size_t place = index + 2; place < index + lead.length; ++place) {
      if ((byte_at(place) & 0xc0) != 0x80) {
        return index;
      }
    }
    index += lead.length;
  }
  return std::string_view::npos;
}

namespace {

template <typename IsEscaped>
std::string escaped(std::string_view bytes, IsEscaped is_escaped) {
  std::string text;
  std::size_t invalid = find_invalid_utf8(bytes);
  for (std::size_t index = 0; index < bytes.size(); ++index) {
    const auto byte = static_cast<unsigned char>(bytes[index]);
    if (index == invalid || is_escaped(byte)) {
      text += fmt::format("\\x{:02x}", byte);
    } else {
      text += bytes[index];
    }
    if (index == invalid) {
      const std::size_t next = find_invalid_utf8(bytes.substr(index + 1));
      invalid = next == std::string_view::npos ? next : next + index + 1;
    }
  }
  return text;
}

}  // namespace

std::string printable(std::string_view bytes) {
  return escaped(bytes, [](unsigned char byte) { return byte < 0x20 || byte == 0x7f; });
}

std::string as_utf8(std::string_view bytes) {
  return is_utf8(bytes) ? std::string(bytes) : escaped(bytes, [](unsigned char) { return false; });
}

void append_utf8(std::string& text, std::uint32_t code_point) {
  const auto add = [&](std::uint32_t byte) { text += static_cast<char>(byte); };
  if (code_point < 0x80) {
    add(code_point);
  } else if (code_point < 0x800) {
    add(0xc0 | (code_point >> 6));
    add(0x80 | (code_point & 0x3f));
  } else if (code_point < 0x10000) {
    add(0xe0 | (code_point >> 12));
    add(0x80 | ((code_point >> 6) & 0x3f));
    add(0x80 | (code_point & 0x3f));
  } else {
    add(0xf0 | (code_point >> 18));
    add(0x80 | ((code_point >> 12) & 0x3f));
    add(0x80 | ((code_point >> 6) & 0x3f));
    add(0x80 | (code_point & 0x3f));
  }
}

}  // namespace onceflow
