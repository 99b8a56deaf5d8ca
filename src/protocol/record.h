// Records of a batch as views: RecordReader walks decompressed record bytes without an allocation,
// a virtual call or a copy. Views belong to whoever owns the bytes; any thread.
//
// Layout: docs/formats/record_batch.md. Nothing is believed: every length is compared with what is
// left, a record must fill exactly the length it claims, and its headers are walked.
#pragma once

#include <cstdint>
#include <iterator>
#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "base/wire.h"

namespace onceflow::protocol {

struct RecordHeaderView {
  std::string_view key;
  std::optional<ByteView> value;
};

namespace record_detail {

// The functions on the way of every record are inlined by force, here and in RecordReader: only
// then does a loop over records keep its cursor, and what it does not ask for, out of memory (7
// instead of 11 ns a record, measured on records of 100 bytes).

/// Reads varints and runs of bytes; every call says whether it could.
class Cursor {
 public:
  explicit Cursor(ByteView bytes) : place_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  const std::byte* place() const { return place_; }
  std::size_t remaining() const { return static_cast<std::size_t>(end_ - place_); }

  [[gnu::always_inline]] bool read_varlong(std::int64_t& number) {
    if (place_ == end_) [[unlikely]] {
      return false;
    }
    std::uint64_t raw = static_cast<std::uint8_t>(*place_++);
    if (raw >= 0x80) {
      // Most lengths and offsets take two.
      if (place_ != end_ && static_cast<std::uint8_t>(*place_) < 0x80) [[likely]] {
        raw = (raw & 0x7f) | static_cast<std::uint64_t>(*place_++) << 7;
      } else {
        const LongVarint found = read_long(place_, end_, raw);
        if (found.behind == nullptr) {
          return false;
        }
        raw = found.raw;
        place_ = found.behind;
      }
    }
    number = wire::unzigzag(raw);
    return true;
  }

  [[gnu::always_inline]] bool read_varint(std::int32_t& number) {
    std::int64_t wide = 0;
    if (!read_varlong(wide) || wide != static_cast<std::int32_t>(wide)) [[unlikely]] {
      return false;
    }
    number = static_cast<std::int32_t>(wide);
    return true;
  }

  bool read_int8(std::int8_t& number) {
    if (place_ == end_) [[unlikely]] {
      return false;
    }
    number = static_cast<std::int8_t>(*place_++);
    return true;
  }

  bool read_bytes(std::size_t count, ByteView& bytes) {
    if (count > remaining()) [[unlikely]] {
      return false;
    }
    bytes = {place_, count};
    place_ += count;
    return true;
  }

  /// A varint length and as many bytes; -1 is null.
  [[gnu::always_inline]] bool read_nullable_bytes(std::optional<ByteView>& bytes) {
    std::int32_t length = 0;
    if (!read_varint(length) || length < -1) [[unlikely]] {
      return false;
    }
    if (length == -1) {
      bytes.reset();
      return true;
    }
    return read_bytes(static_cast<std::size_t>(length), bytes.emplace());
  }

  bool read_header(RecordHeaderView& header) {
    std::int32_t length = 0;
    ByteView key;
    if (!read_varint(length) || length < 0 || !read_bytes(static_cast<std::size_t>(length), key))
        [[unlikely]] {
      return false;
    }
    header.key = as_text(key);
    return read_nullable_bytes(header.value);
  }

 private:
  struct LongVarint {
    std::uint64_t raw;
    const std::byte* behind;  ///< nullptr: it does not end, or not within 64 bits
  };
  /// A varint of more than two bytes; `first` is its first, `place` its second. By value, so that a
  /// cursor lives in registers.
  [[gnu::noinline]] static LongVarint read_long(const std::byte* place, const std::byte* end,
                                                std::uint64_t first) {
    std::uint64_t raw = first & 0x7f;
    for (unsigned shift = 7;; shift += 7) {
      if (place == end || shift > 63) {
        return {0, nullptr};
      }
      const auto octet = static_cast<std::uint8_t>(*place++);
      if (shift == 63 && octet > 1) {
        return {0, nullptr};
      }
      raw |= static_cast<std::uint64_t>(octet & 0x7f) << shift;
      if (octet < 0x80) {
        return {raw, place};
      }
    }
  }

  const std::byte* place_;
  const std::byte* end_;
};

}  // namespace record_detail

/// Walks the headers of one record; they have been checked by the RecordReader.
class RecordHeaderReader {
 public:
  RecordHeaderReader(ByteView bytes, std::int32_t count) : cursor_(bytes), left_(count) {}

  /// False after the last one.
  bool next(RecordHeaderView& header) {
    if (left_ <= 0) {
      return false;
    }
    --left_;
    return cursor_.read_header(header);
  }

 private:
  record_detail::Cursor cursor_;
  std::int32_t left_;
};

struct RecordView {
  std::int32_t offset_delta = 0;
  std::int64_t timestamp_delta = 0;
  std::optional<ByteView> key;
  std::optional<ByteView> value;
  std::int32_t header_count = 0;
  ByteView header_bytes;  ///< all headers, without their count
  ByteView body;          ///< from the key's length to the last header: what no delta changes
  ByteView raw;           ///< the whole record with its length

  RecordHeaderReader headers() const { return {header_bytes, header_count}; }
};

/// Walks `count` records. After the walk complete() says whether the bytes held exactly these.
class RecordReader {
 public:
  RecordReader(ByteView bytes, std::int32_t count) : cursor_(bytes), left_(count) {}

  /// False after the last record and at the first malformed one.
  [[gnu::always_inline]] bool next(RecordView& record) {
    if (left_ <= 0 || failed_) {
      return false;
    }
    if (!read(record)) [[unlikely]] {
      failed_ = true;
      return false;
    }
    --left_;
    return true;
  }

  /// All records have been read and no byte is left over.
  bool complete() const { return !failed_ && left_ <= 0 && cursor_.remaining() == 0; }

  // for (const RecordView& record : reader); then ask complete().
  class Iterator {
   public:
    using value_type = RecordView;
    using difference_type = std::ptrdiff_t;
    using iterator_category = std::input_iterator_tag;

    explicit Iterator(RecordReader* reader) : reader_(reader) { ++*this; }
    const RecordView& operator*() const { return record_; }
    const RecordView* operator->() const { return &record_; }
    Iterator& operator++() {
      at_end_ = !reader_->next(record_);
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const { return at_end_; }

   private:
    RecordReader* reader_;
    RecordView record_;
    bool at_end_ = false;
  };
  Iterator begin() { return Iterator(this); }
  std::default_sentinel_t end() const { return {}; }

 private:
  [[gnu::always_inline]] bool read(RecordView& record) {
    const std::byte* start = cursor_.place();
    std::int32_t length = 0;
    ByteView content;
    if (!cursor_.read_varint(length) || length < 0 ||
        !cursor_.read_bytes(static_cast<std::size_t>(length), content)) [[unlikely]] {
      return false;
    }
    record.raw = {start, cursor_.place()};
    record_detail::Cursor inner(content);
    std::int8_t attributes = 0;  // no bit of it has a meaning
    if (!inner.read_int8(attributes) || !inner.read_varlong(record.timestamp_delta) ||
        !inner.read_varint(record.offset_delta)) [[unlikely]] {
      return false;
    }
    record.body = {inner.place(), inner.remaining()};
    if (!inner.read_nullable_bytes(record.key) || !inner.read_nullable_bytes(record.value) ||
        !inner.read_varint(record.header_count) || record.header_count < 0) [[unlikely]] {
      return false;
    }
    record.header_bytes = {inner.place(), inner.remaining()};
    return record.header_count == 0 ? record.header_bytes.empty()
                                    : holds_headers(record.header_bytes, record.header_count);
  }

  static bool holds_headers(ByteView bytes, std::int32_t count) {
    record_detail::Cursor cursor(bytes);
    RecordHeaderView header;
    for (std::int32_t index = 0; index < count; ++index) {
      if (!cursor.read_header(header)) [[unlikely]] {
        return false;
      }
    }
    return cursor.remaining() == 0;
  }

  record_detail::Cursor cursor_;
  std::int32_t left_;
  bool failed_ = false;
};

}  // namespace onceflow::protocol
