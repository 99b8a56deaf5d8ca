// The variable-length types of Kafka's messages: strings, bytes, arrays and tagged fields, in their
// old form (int16 or int32 lengths) and their flexible one (KIP-482: unsigned varints, one more
// than the length, 0 for null). Included by generated code and by headers of messages; stateless.
//
// Reading: a failure is left in the reader. No length is believed before it is compared with what
// is left, and nothing is reserved beyond kReserveCountMax elements, so a lying length costs
// nothing; what is read may have a limit (WireReader::limit_memory).
//
// A string of a request that is not UTF-8 is a failure: it would be an id or a name, and go on into
// logs, pages and other clients' answers. Stricter than Kafka, whose broker reads U+FFFD in its
// place, so that two ids become one. In a response such bytes become \x80 to \xff: one bad name
// does not take the other answers away.
//
// Writing: a null where the version has none, or a string beyond kStringBytesMax, is our bug.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/check.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/utf8.h"
#include "base/wire.h"
#include "protocol/error_code.h"

namespace onceflow::protocol::codec {

/// Kafka's limit in both forms.
inline constexpr std::size_t kStringBytesMax = std::numeric_limits<std::int16_t>::max();
/// More elements than these grow the vector as they arrive.
inline constexpr std::size_t kReserveCountMax = 1024;

std::unexpected<Error> unsupported_version(std::string_view message, std::int16_t version);
std::unexpected<Error> malformed(std::string_view message, std::int16_t version);

// ---- fixed size

inline void read_bool(WireReader& reader, bool& value) { value = reader.read_bool(); }
inline void read_int8(WireReader& reader, std::int8_t& value) { value = reader.read_int8(); }
inline void read_int16(WireReader& reader, std::int16_t& value) { value = reader.read_int16(); }
inline void read_int32(WireReader& reader, std::int32_t& value) { value = reader.read_int32(); }
inline void read_int64(WireReader& reader, std::int64_t& value) { value = reader.read_int64(); }
inline void read_uint16(WireReader& reader, std::uint16_t& value) { value = reader.read_uint16(); }
inline void read_float64(WireReader& reader, double& value) { value = reader.read_float64(); }
inline void read_uuid(WireReader& reader, TopicId& value) { value = reader.read_uuid(); }
inline void read_error(WireReader& reader, ErrorCode& value) {
  value = static_cast<ErrorCode>(reader.read_int16());
}

inline void write_bool(WireWriter& writer, bool value) { writer.write_bool(value); }
inline void write_int8(WireWriter& writer, std::int8_t value) { writer.write_int8(value); }
inline void write_int16(WireWriter& writer, std::int16_t value) { writer.write_int16(value); }
inline void write_int32(WireWriter& writer, std::int32_t value) { writer.write_int32(value); }
inline void write_int64(WireWriter& writer, std::int64_t value) { writer.write_int64(value); }
inline void write_uint16(WireWriter& writer, std::uint16_t value) { writer.write_uint16(value); }
inline void write_float64(WireWriter& writer, double value) { writer.write_float64(value); }
inline void write_uuid(WireWriter& writer, const TopicId& value) { writer.write_uuid(value); }
inline void write_error(WireWriter& writer, ErrorCode value) {
  writer.write_int16(static_cast<std::int16_t>(value));
}

// ---- lengths

/// The length of what follows, at most what is left divided by `bytes_min` each; nullopt for null
/// and for a failed reader.
template <typename OldLength>
std::optional<std::size_t> read_length(WireReader& reader, bool flexible, std::size_t bytes_min) {
  std::uint64_t length = 0;
  if (flexible) {
    length = reader.read_unsigned_varint();
    if (length == 0) {
      return std::nullopt;
    }
    --length;
  } else {
    const auto old = reader.read_integer<OldLength>();
    if (old < 0) {
      if (old != -1) {
        reader.fail();
      }
      return std::nullopt;
    }
    length = static_cast<std::uint64_t>(old);
  }
  if (length > reader.remaining() / bytes_min) {
    reader.fail();
    return std::nullopt;
  }
  return static_cast<std::size_t>(length);
}

template <typename OldLength>
void write_length(WireWriter& writer, bool flexible, std::size_t length) {
  CHECK(std::cmp_less_equal(length, std::numeric_limits<OldLength>::max()));
  if (flexible) {
    writer.write_unsigned_varint(length + 1);
  } else {
    writer.write_integer(static_cast<OldLength>(length));
  }
}

template <typename OldLength>
void write_null(WireWriter& writer, bool flexible, bool null_allowed) {
  CHECK(null_allowed);
  if (flexible) {
    writer.write_unsigned_varint(0);
  } else {
    writer.write_integer(OldLength{-1});
  }
}

// ---- strings

inline std::optional<std::string_view> read_string_view(WireReader& reader, bool flexible) {
  const auto length = read_length<std::int16_t>(reader, flexible, 1);
  if (!length) {
    return std::nullopt;
  }
  if (*length > kStringBytesMax) {
    reader.fail();
    return std::nullopt;
  }
  return reader.read_text(*length);
}

/// A text or an array with memory of its own takes so much more than what is in it.
inline constexpr std::size_t kAllocationBytes = 32;

/// Nothing of a failed reader, or beyond its limit.
inline std::string own_text(WireReader& reader, std::string_view text) {
  const bool fits_in_place = text.size() <= std::string().capacity();
  if (!fits_in_place && !reader.take_memory(text.size() + kAllocationBytes)) {
    return {};
  }
  return std::string(text);
}

inline void read_string(WireReader& reader, bool flexible, std::string& value) {
  const auto text = read_string_view(reader, flexible);
  if (text && is_utf8(*text)) {
    value = own_text(reader, *text);
  } else {
    reader.fail();
  }
}

inline void read_string(WireReader& reader, bool flexible, bool null_allowed,
                        std::optional<std::string>& value) {
  const auto text = read_string_view(reader, flexible);
  if (text && is_utf8(*text)) {
    value.emplace(own_text(reader, *text));
  } else {
    value.reset();
    if (text || !null_allowed) {
      reader.fail();
    }
  }
}

/// As UTF-8, whatever it is. What would be too long to be sent again is a failure.
inline std::string answered_text(WireReader& reader, std::string_view text) {
  std::string result = as_utf8(text);
  if (result.size() > kStringBytesMax) {
    reader.fail();
  }
  return result;
}

/// As read_string, for a response.
inline void read_answered_string(WireReader& reader, bool flexible, std::string& value) {
  if (const auto text = read_string_view(reader, flexible)) {
    value = answered_text(reader, *text);
  } else {
    reader.fail();
  }
}

inline void read_answered_string(WireReader& reader, bool flexible, bool null_allowed,
                                 std::optional<std::string>& value) {
  if (const auto text = read_string_view(reader, flexible)) {
    value = answered_text(reader, *text);
  } else {
    value.reset();
    if (!null_allowed) {
      reader.fail();
    }
  }
}

inline void write_string(WireWriter& writer, bool flexible, std::string_view value) {
  write_length<std::int16_t>(writer, flexible, value.size());
  writer.write_text(value);
}

inline void write_string(WireWriter& writer, bool flexible, bool null_allowed,
                         const std::optional<std::string>& value) {
  if (value) {
    write_string(writer, flexible, *value);
  } else {
    write_null<std::int16_t>(writer, flexible, null_allowed);
  }
}

/// A text of our own making for a human, which may quote something long: cut rather than refused.
inline void write_message(WireWriter& writer, bool flexible, bool null_allowed,
                          const std::optional<std::string>& value) {
  if (value) {
    write_string(writer, flexible, std::string_view(*value).substr(0, kStringBytesMax));
  } else {
    write_null<std::int16_t>(writer, flexible, null_allowed);
  }
}

// ---- bytes and records

inline void read_bytes(WireReader& reader, bool flexible, ByteView& value) {
  if (const auto length = read_length<std::int32_t>(reader, flexible, 1)) {
    value = reader.read_bytes(*length);
  } else {
    reader.fail();
  }
}

inline void read_bytes(WireReader& reader, bool flexible, bool null_allowed,
                       std::optional<ByteView>& value) {
  if (const auto length = read_length<std::int32_t>(reader, flexible, 1)) {
    value = reader.read_bytes(*length);
  } else {
    value.reset();
    if (!null_allowed) {
      reader.fail();
    }
  }
}

inline void write_bytes(WireWriter& writer, bool flexible, ByteView value) {
  write_length<std::int32_t>(writer, flexible, value.size());
  writer.write_bytes(value);
}

inline void write_bytes(WireWriter& writer, bool flexible, bool null_allowed,
                        const std::optional<ByteView>& value) {
  if (value) {
    write_bytes(writer, flexible, *value);
  } else {
    write_null<std::int32_t>(writer, flexible, null_allowed);
  }
}

inline bool same_bytes(ByteView left, ByteView right) { return equal(left, right); }
inline bool same_bytes(const std::optional<ByteView>& left, const std::optional<ByteView>& right) {
  return left.has_value() == right.has_value() && (!left || equal(*left, *right));
}

// ---- arrays; `bytes_min` is the least that one element takes on the wire

template <typename T, typename ReadElement>
void read_elements(WireReader& reader, std::size_t count, std::vector<T>& values,
                   ReadElement& read_element) {
  values.clear();
  if (count > 0 && !reader.take_memory(count * sizeof(T) + kAllocationBytes)) {
    return;
  }
  values.reserve(std::min(count, kReserveCountMax));
  for (std::size_t index = 0; index < count && reader.ok(); ++index) {
    if constexpr (std::is_same_v<T, bool>) {
      bool element = false;
      read_element(reader, element);
      values.push_back(element);
    } else {
      read_element(reader, values.emplace_back());
    }
  }
}

template <typename T, typename ReadElement>
void read_array(WireReader& reader, bool flexible, std::size_t bytes_min, std::vector<T>& values,
                ReadElement read_element) {
  if (const auto count = read_length<std::int32_t>(reader, flexible, bytes_min)) {
    read_elements(reader, *count, values, read_element);
  } else {
    reader.fail();
  }
}

template <typename T, typename ReadElement>
void read_array(WireReader& reader, bool flexible, bool null_allowed, std::size_t bytes_min,
                std::optional<std::vector<T>>& values, ReadElement read_element) {
  if (const auto count = read_length<std::int32_t>(reader, flexible, bytes_min)) {
    read_elements(reader, *count, values.emplace(), read_element);
  } else {
    values.reset();
    if (!null_allowed) {
      reader.fail();
    }
  }
}

template <typename T, typename WriteElement>
void write_array(WireWriter& writer, bool flexible, const std::vector<T>& values,
                 WriteElement write_element) {
  write_length<std::int32_t>(writer, flexible, values.size());
  for (const auto& value : values) {
    write_element(writer, value);
  }
}

template <typename T, typename WriteElement>
void write_array(WireWriter& writer, bool flexible, bool null_allowed,
                 const std::optional<std::vector<T>>& values, WriteElement write_element) {
  if (values) {
    write_array(writer, flexible, *values, write_element);
  } else {
    write_null<std::int32_t>(writer, flexible, null_allowed);
  }
}

// ---- tagged fields: count, then per field its tag, its size and its bytes

/// Calls `read_field(tag, reader of exactly that field)` for each; a field it does not read is
/// skipped by its size.
template <typename ReadField>
void read_tagged_fields(WireReader& reader, ReadField read_field) {
  const std::uint64_t count = reader.read_unsigned_varint();
  for (std::uint64_t index = 0; index < count && reader.ok(); ++index) {
    const std::uint64_t tag = reader.read_unsigned_varint();
    WireReader field(reader.read_sized_bytes());
    field.limit_memory(reader.memory_left());
    if (reader.ok()) {
      read_field(tag, field);
      reader.limit_memory(field.memory_left());
      if (!field.ok()) {
        reader.fail();
      }
    }
  }
}

inline void skip_tagged_fields(WireReader& reader) {
  read_tagged_fields(reader, [](std::uint64_t, WireReader&) {});
}

template <typename WriteField>
void write_tagged_field(WireWriter& writer, std::uint64_t tag, WriteField write_field) {
  Buffer bytes;
  WireWriter field(bytes);
  write_field(field);
  writer.write_unsigned_varint(tag);
  writer.write_sized_bytes(bytes);
}

}  // namespace onceflow::protocol::codec
