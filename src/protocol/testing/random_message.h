// For tests: messages and bytes with random contents, the same for the same seed.
#pragma once

#include <array>
#include <deque>
#include <limits>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/utf8.h"
#include "protocol/error_code.h"
#include "protocol/field_info.h"

namespace onceflow::protocol::testing {

/// Owns the bytes that the views in its messages point to.
class RandomMessages {
 public:
  explicit RandomMessages(std::uint64_t seed) : state_(seed) {}

  /// 0 to limit - 1.
  std::size_t below(std::size_t limit) { return next() % limit; }

  Buffer bytes(std::size_t count) {
    Buffer result(count);
    for (std::byte& octet : result) {
      octet = static_cast<std::byte>(next());
    }
    return result;
  }

  /// Every field of the version gets a value; others stay as they are by default.
  template <typename Message>
  Message make(std::int16_t version) {
    Message message;
    fill(message, version);
    return message;
  }

 private:
  template <typename Structure>
  void fill(Structure& structure, std::int16_t version) {
    Structure::for_each_field(structure, version, [&](const FieldInfo& field, auto& value) {
      put(value, version, field.may_be_null);
    });
  }

  template <typename T>
  void put(std::optional<T>& value, std::int16_t version, bool may_be_null) {
    if (may_be_null && below(3) == 0) {
      value.reset();
    } else {
      put(value.emplace(), version, false);
    }
  }
  template <typename T>
  void put(std::vector<T>& values, std::int16_t version, bool) {
    values.resize(below(4));
    for (auto& value : values) {
      put(value, version, false);
    }
  }
  void put(std::string& value, std::int16_t, bool) {
    value.clear();
    for (std::size_t left = below(8) == 0 ? 100 : below(6); left > 0; --left) {
      constexpr std::array<std::uint32_t, 4> kLimits = {0x80, 0x800, 0xd800, 0x2000};
      const std::size_t kind = below(kLimits.size());
      append_utf8(value, static_cast<std::uint32_t>(kind == 3 ? 0x10000 : 0) +
                             static_cast<std::uint32_t>(below(kLimits[kind])));
    }
  }
  void put(ByteView& value, std::int16_t, bool) {
    value = arena_.emplace_back(bytes(below(8) == 0 ? 300 : below(12)));
  }
  void put(TopicId& value, std::int16_t, bool) {
    for (auto& octet : value.bytes) {
      octet = static_cast<std::uint8_t>(next());
    }
  }
  void put(ErrorCode& value, std::int16_t, bool) {
    value = static_cast<ErrorCode>(integer<std::int16_t>());
  }
  template <typename T>
  void put(T& value, std::int16_t version, bool) {
    if constexpr (std::is_same_v<T, bool>) {
      value = below(2) == 0;
    } else if constexpr (std::is_integral_v<T>) {
      value = integer<T>();
    } else {
      fill(value, version);
    }
  }

  template <typename T>
  T integer() {
    switch (below(6)) {
      case 0:
        return std::numeric_limits<T>::min();
      case 1:
        return std::numeric_limits<T>::max();
      case 2:
        return static_cast<T>(-1);
      case 3:
        return static_cast<T>(below(100));
      default:
        return static_cast<T>(next());
    }
  }

  /// SplitMix64.
  std::uint64_t next() {
    state_ += 0x9e3779b97f4a7c15;
    std::uint64_t mixed = state_;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
    return mixed ^ (mixed >> 31);
  }

  std::uint64_t state_;
  std::deque<Buffer> arena_;
};

}  // namespace onceflow::protocol::testing
