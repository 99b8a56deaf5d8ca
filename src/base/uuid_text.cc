#include "base/uuid_text.h"

namespace onceflow {
namespace {

constexpr std::size_t kDigitCount = 32;

std::optional<unsigned> digit_of(char letter) {
  if (letter >= '0' && letter <= '9') {
    return static_cast<unsigned>(letter - '0');
  }
  if (letter >= 'a' && letter <= 'f') {
    return static_cast<unsigned>(letter - 'a') + 10;
  }
  if (letter >= 'A' && letter <= 'F') {
    return static_cast<unsigned>(letter - 'A') + 10;
  }
  return std::nullopt;
}

// The digits before which a hyphen stands.
bool has_hyphen_before(std::size_t digit) {
  return digit == 8 || digit == 12 || digit == 16 || digit == 20;
}

}  // namespace

std::optional<UuidBytes> read_uuid(std::string_view text) {
  if (text.starts_with('{') && text.ends_with('}') && text.size() > 1) {
    text = text.substr(1, text.size() - 2);
  }
  constexpr std::size_t kHyphenCount = 4;
  const bool has_hyphens = text.size() == kDigitCount + kHyphenCount;
  if (!has_hyphens && text.size() != kDigitCount) {
    return std::nullopt;
  }
  UuidBytes uuid{};
  std::size_t place = 0;
  for (std::size_t digit = 0; digit < kDigitCount; ++digit) {
    if (has_hyphens && has_hyphen_before(digit) && text[place++] != '-') {
      return std::nullopt;
    }
    const auto value = digit_of(text[place++]);
    if (!value) {
      return std::nullopt;
    }
    uuid[digit / 2] |= static_cast<std::byte>(digit % 2 == 0 ? *value << 4U : *value);
  }
  return uuid;
}

std::string uuid_text(const UuidBytes& uuid) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (std::size_t digit = 0; digit < kDigitCount; ++digit) {
    if (has_hyphen_before(digit)) {
      text += '-';
    }
    const auto byte = std::to_integer<unsigned>(uuid[digit / 2]);
    text += kDigits[digit % 2 == 0 ? byte >> 4U : byte & 0xfU];
  }
  return text;
}

}  // namespace onceflow
