#include "base/topic_id_text.h"

namespace onceflow {
namespace {

constexpr std::string_view kDigits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::size_t kTextLength = 22;

}  // namespace

std::string to_text(const TopicId& id) {
  std::string text;
  text.reserve(kTextLength);
  std::uint32_t bits = 0;
  int bit_count = 0;
  for (const std::uint8_t octet : id.bytes) {
    bits = bits << 8 | octet;
    bit_count += 8;
    while (bit_count >= 6) {
      bit_count -= 6;
      text += kDigits[bits >> bit_count & 63];
    }
  }
  text += kDigits[bits << (6 - bit_count) & 63];
  return text;
}

std::optional<TopicId> parse_topic_id(std::string_view text) {
  if (text.size() != kTextLength) {
    return std::nullopt;
  }
  TopicId id;
  std::size_t octet = 0;
  std::uint32_t bits = 0;
  int bit_count = 0;
  for (const char character : text) {
    const std::size_t digit = kDigits.find(character);
    if (digit == std::string_view::npos) {
      return std::nullopt;
    }
    bits = bits << 6 | static_cast<std::uint32_t>(digit);
    bit_count += 6;
    if (bit_count >= 8 && octet < id.bytes.size()) {
      bit_count -= 8;
      id.bytes[octet++] = static_cast<std::uint8_t>(bits >> bit_count);
    }
  }
  // The last digit carries four bits that are not used; another spelling is another text.
  return to_text(id) == text ? std::optional(id) : std::nullopt;
}

}  // namespace onceflow
