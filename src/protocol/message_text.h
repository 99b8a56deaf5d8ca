// message_text: any generated message as one line of text, for logs, scripts and tests. Stateless.
//
// {acks=-1 topic_data=[{name="orders" ...}]}: the fields of the version in the order of their
// definition; bytes are an x and hexadecimal digits, a uuid is hexadecimal digits.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "protocol/error_code.h"
#include "protocol/field_info.h"

namespace onceflow::protocol {

template <typename Message>
std::string message_text(const Message& message, std::int16_t version);

namespace message_text_detail {

inline void put_hex(std::string& text, ByteView bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  for (const std::byte octet : bytes) {
    text += kDigits[std::to_integer<unsigned>(octet) >> 4];
    text += kDigits[std::to_integer<unsigned>(octet) & 0xf];
  }
}

struct Writer {
  std::string& text;
  std::int16_t version;

  void operator()(const FieldInfo& field, const auto& value) {
    if (text.back() != '{') {
      text += ' ';
    }
    text += field.name;
    text += '=';
    put(value);
  }

  void put(const std::string& value) { text += '"' + value + '"'; }
  void put(ByteView value) {
    text += 'x';
    put_hex(text, value);
  }
  void put(const TopicId& value) { put_hex(text, std::as_bytes(std::span(value.bytes))); }
  void put(ErrorCode value) { text += std::to_string(static_cast<int>(value)); }
  template <typename T>
  void put(const std::optional<T>& value) {
    if (value) {
      put(*value);
    } else {
      text += "null";
    }
  }
  template <typename T>
  void put(const std::vector<T>& values) {
    text += '[';
    for (const auto& value : values) {
      if (text.back() != '[') {
        text += ' ';
      }
      put(value);
    }
    text += ']';
  }
  template <typename T>
  void put(const T& value) {
    if constexpr (std::is_same_v<T, bool>) {
      text += value ? "true" : "false";
    } else if constexpr (std::is_arithmetic_v<T>) {
      text += std::to_string(value);
    } else {
      text += message_text(value, version);
    }
  }
};

}  // namespace message_text_detail

template <typename Message>
std::string message_text(const Message& message, std::int16_t version) {
  std::string text = "{";
  Message::for_each_field(message, version, message_text_detail::Writer{text, version});
  return text + '}';
}

}  // namespace onceflow::protocol
