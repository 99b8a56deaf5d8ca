// WireReader and WireWriter: the primitive types of Kafka's protocol, big-endian and varint, used
// by messages, record batches, the journal and every file of ours.
//
// A reader never reads past its end: after the first failure it stays failed and returns zeros, so
// a decoder may read a whole struct and ask ok() once. Lengths are checked against what is left.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"

namespace onceflow {

namespace wire {
template <typename Integer>
Integer load_big_endian(const std::byte* place) {
  std::make_unsigned_t<Integer> raw;
  std::memcpy(&raw, place, sizeof raw);
  if constexpr (sizeof raw > 1 && std::endian::native == std::endian::little) {
    raw = std::byteswap(raw);
  }
  return static_cast<Integer>(raw);
}
template <typename Integer>
void store_big_endian(std::byte* place, Integer number) {
  auto raw = static_cast<std::make_unsigned_t<Integer>>(number);
  if constexpr (sizeof raw > 1 && std::endian::native == std::endian::little) {
    raw = std::byteswap(raw);
  }
  std::memcpy(place, &raw, sizeof raw);
}
inline std::uint64_t zigzag(std::int64_t number) {
  return (static_cast<std::uint64_t>(number) << 1) ^ static_cast<std::uint64_t>(number >> 63);
}
inline std::int64_t unzigzag(std::uint64_t number) {
  return static_cast<std::int64_t>(number >> 1) ^ -static_cast<std::int64_t>(number & 1);
}
inline std::size_t unsigned_varint_bytes(std::uint64_t number) {
  return (static_cast<std::size_t>(std::bit_width(number | 1)) + 6) / 7;
}
inline std::size_t varint_bytes(std::int64_t number) {
  return unsigned_varint_bytes(zigzag(number));
}
}  // namespace wire

class WireReader {
 public:
  explicit WireReader(ByteView bytes) : bytes_(bytes) {}

  bool ok() const { return ok_; }
  std::size_t position() const { return position_; }
  std::size_t remaining() const { return bytes_.size() - position_; }
  void fail() {
    ok_ = false;
    position_ = bytes_.size();
  }

  /// What is decoded may take this much memory beside the input, and fails beyond it.
  void limit_memory(std::size_t bytes_max) { memory_left_ = bytes_max; }
  std::size_t memory_left() const { return memory_left_; }
  bool take_memory(std::size_t bytes) {
    if (bytes > memory_left_) {
      fail();
      return false;
    }
    memory_left_ -= bytes;
    return true;
  }

  template <typename Integer>
  Integer read_integer() {
    if (remaining() < sizeof(Integer)) {
      fail();
      return Integer{};
    }
    const auto number = wire::load_big_endian<Integer>(bytes_.data() + position_);
    position_ += sizeof(Integer);
    return number;
  }
  std::int8_t read_int8() { return read_integer<std::int8_t>(); }
  std::int16_t read_int16() { return read_integer<std::int16_t>(); }
  std::int32_t read_int32() { return read_integer<std::int32_t>(); }
  std::int64_t read_int64() { return read_integer<std::int64_t>(); }
  std::uint16_t read_uint16() { return read_integer<std::uint16_t>(); }
  std::uint32_t read_uint32() { return read_integer<std::uint32_t>(); }
  std::uint64_t read_uint64() { return read_integer<std::uint64_t>(); }
  double read_float64() { return std::bit_cast<double>(read_uint64()); }
  bool read_bool() { return read_int8() != 0; }
  TopicId read_uuid() {
    TopicId id;
    if (const ByteView raw = read_bytes(id.bytes.size()); ok_) {
      std::memcpy(id.bytes.data(), raw.data(), raw.size());
    }
    return id;
  }

  /// Unsigned LEB128; more than 10 bytes, or bits past 64, is a failure.
  std::uint64_t read_unsigned_varint() {
    if (position_ < bytes_.size() && std::to_integer<int>(bytes_[position_]) < 0x80) [[likely]] {
      return std::to_integer<std::uint64_t>(bytes_[position_++]);
    }
    return read_long_varint();
  }
  std::int64_t read_varlong() { return wire::unzigzag(read_unsigned_varint()); }
  /// As read_varlong; a number outside 32 bits is a failure.
  std::int32_t read_varint() {
    const std::int64_t number = read_varlong();
    if (number != static_cast<std::int32_t>(number)) {
      fail();
      return 0;
    }
    return static_cast<std::int32_t>(number);
  }

  /// The next `count` bytes, as a view into the input.
  ByteView read_bytes(std::size_t count) {
    if (count > remaining()) {
      fail();
      return {};
    }
    const ByteView view = bytes_.subspan(position_, count);
    position_ += count;
    return view;
  }
  std::string_view read_text(std::size_t count) { return as_text(read_bytes(count)); }
  void skip(std::size_t count) { read_bytes(count); }

  /// Length-prefixed (unsigned varint), for our own formats.
  ByteView read_sized_bytes() {
    const std::uint64_t count = read_unsigned_varint();
    if (count > remaining()) {
      fail();
      return {};
    }
    return read_bytes(static_cast<std::size_t>(count));
  }
  std::string read_sized_string() { return std::string(as_text(read_sized_bytes())); }

 private:
  std::uint64_t read_long_varint() {
    std::uint64_t number = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (position_ >= bytes_.size()) {
        break;
      }
      const auto octet = static_cast<std::uint8_t>(bytes_[position_++]);
      if (shift == 63 && octet > 1) {
        break;
      }
      number |= static_cast<std::uint64_t>(octet & 0x7f) << shift;
      if ((octet & 0x80) == 0) {
        return number;
      }
    }
    fail();
    return 0;
  }

  ByteView bytes_;
  std::size_t position_ = 0;
  std::size_t memory_left_ = std::numeric_limits<std::size_t>::max();
  bool ok_ = true;
};

/// Bytes that belong at a position of a buffer, without having been copied into it.
struct Splice {
  std::size_t position;
  ByteView bytes;
};

/// Appends to a buffer that it does not own.
class WireWriter {
 public:
  explicit WireWriter(Buffer& buffer) : buffer_(buffer) {}
  /// Large runs of bytes become splices, in their order, whose owner keeps them where they are.
  WireWriter(Buffer& buffer, std::vector<Splice>& splices) : buffer_(buffer), splices_(&splices) {}

  Buffer& buffer() { return buffer_; }
  std::size_t position() const { return buffer_.size(); }
  std::size_t spliced_bytes() const { return spliced_bytes_; }

  template <typename Integer>
  void write_integer(Integer number) {
    std::byte raw[sizeof(Integer)];
    wire::store_big_endian(raw, number);
    append(buffer_, raw);
  }
  void write_int8(std::int8_t number) { write_integer(number); }
  void write_int16(std::int16_t number) { write_integer(number); }
  void write_int32(std::int32_t number) { write_integer(number); }
  void write_int64(std::int64_t number) { write_integer(number); }
  void write_uint16(std::uint16_t number) { write_integer(number); }
  void write_uint32(std::uint32_t number) { write_integer(number); }
  void write_uint64(std::uint64_t number) { write_integer(number); }
  void write_float64(double number) { write_uint64(std::bit_cast<std::uint64_t>(number)); }
  void write_bool(bool value) { write_int8(value ? 1 : 0); }
  void write_uuid(const TopicId& id) {
    append(buffer_, {reinterpret_cast<const std::byte*>(id.bytes.data()), id.bytes.size()});
  }
  void write_unsigned_varint(std::uint64_t number) {
    std::byte raw[10];
    std::size_t count = 0;
    while (number >= 0x80) {
      raw[count++] = static_cast<std::byte>(number | 0x80);
      number >>= 7;
    }
    raw[count++] = static_cast<std::byte>(number);
    append(buffer_, {raw, count});
  }
  void write_varlong(std::int64_t number) { write_unsigned_varint(wire::zigzag(number)); }
  void write_varint(std::int32_t number) { write_varlong(number); }
  void write_bytes(ByteView bytes) {
    if (splices_ != nullptr && bytes.size() >= kSpliceBytesMin) {
      splices_->push_back({buffer_.size(), bytes});
      spliced_bytes_ += bytes.size();
    } else {
      append(buffer_, bytes);
    }
  }
  void write_text(std::string_view text) { append(buffer_, as_bytes(text)); }
  void write_sized_bytes(ByteView bytes) {
    write_unsigned_varint(bytes.size());
    write_bytes(bytes);
  }
  void write_sized_string(std::string_view text) { write_sized_bytes(as_bytes(text)); }

  /// Overwrites an integer written earlier, e.g. a length known only at the end.
  template <typename Integer>
  void patch_integer(std::size_t position, Integer number) {
    wire::store_big_endian(buffer_.data() + position, number);
  }

 private:
  /// Below that, a copy costs less than one more part of a write.
  static constexpr std::size_t kSpliceBytesMin = 4096;

  Buffer& buffer_;
  std::vector<Splice>* splices_ = nullptr;
  std::size_t spliced_bytes_ = 0;
};

}  // namespace onceflow
