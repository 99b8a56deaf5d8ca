// Encoding of records and batch headers.
#include "protocol/record_batch_builder.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/wire.h"

namespace onceflow::protocol {
namespace {

constexpr std::size_t kVarlongBytesMax = 10;

std::byte* put_varlong(std::byte* place, std::int64_t number) {
  std::uint64_t raw = wire::zigzag(number);
  while (raw >= 0x80) {
    *place++ = static_cast<std::byte>(raw | 0x80);
    raw >>= 7;
  }
  *place++ = static_cast<std::byte>(raw);
  return place;
}

std::byte* put_bytes(std::byte* place, ByteView bytes) {
  if (!bytes.empty()) {
    std::memcpy(place, bytes.data(), bytes.size());
  }
  return place + bytes.size();
}

std::byte* put_nullable(std::byte* place, const std::optional<ByteView>& bytes) {
  if (!bytes) {
    return put_varlong(place, -1);
  }
  return put_bytes(put_varlong(place, static_cast<std::int64_t>(bytes->size())), *bytes);
}

std::size_t sized_bytes(std::size_t length) {
  return wire::varint_bytes(static_cast<std::int64_t>(length)) + length;
}

std::size_t nullable_bytes(const std::optional<ByteView>& bytes) {
  return bytes ? sized_bytes(bytes->size()) : 1;
}

std::size_t body_bytes(const NewRecord& record) {
  std::size_t bytes = nullable_bytes(record.key) + nullable_bytes(record.value);
  if (!record.encoded_headers.empty()) {
    return bytes + record.encoded_headers.size();
  }
  bytes += wire::varint_bytes(static_cast<std::int64_t>(record.headers.size()));
  for (const RecordHeaderView& header : record.headers) {
    bytes += sized_bytes(header.key.size()) + nullable_bytes(header.value);
  }
  return bytes;
}

/// The difference, modulo 2^64, so that no pair of timestamps is undefined behaviour.
std::int64_t delta_of(std::int64_t timestamp, std::int64_t base) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(timestamp) -
                                   static_cast<std::uint64_t>(base));
}

std::int16_t attributes_of(const BatchStamp& stamp) {
  auto attributes = static_cast<std::int16_t>(stamp.codec);
  if (stamp.timestamp_type == TimestampType::kLogAppendTime) {
    attributes |= kLogAppendTimeBit;
  }
  if (stamp.is_transactional) {
    attributes |= kTransactionalBit;
  }
  if (stamp.is_control) {
    attributes |= kControlBit;
  }
  return attributes;
}

}  // namespace

[[gnu::always_inline]] inline RecordBatchBuilder::RecordStart RecordBatchBuilder::plan(
    std::int64_t timestamp_ms, std::size_t body_bytes) const {
  const std::int64_t timestamp_delta =
      records_count_ == 0 ? 0 : delta_of(timestamp_ms, base_timestamp_);
  const std::size_t content_bytes =
      1 + wire::varint_bytes(timestamp_delta) + wire::varint_bytes(records_count_) + body_bytes;
  return {timestamp_ms, timestamp_delta, content_bytes, sized_bytes(content_bytes)};
}

[[gnu::always_inline]] inline std::byte* RecordBatchBuilder::begin_record(
    const RecordStart& start) {
  CHECK(records_count_ < std::numeric_limits<std::int32_t>::max());
  CHECK(std::cmp_less_equal(start.content_bytes, std::numeric_limits<std::int32_t>::max()));
  if (records_count_ == 0) {
    base_timestamp_ = max_timestamp_ = start.timestamp_ms;
  }
  max_timestamp_ = std::max(max_timestamp_, start.timestamp_ms);
  if (used_bytes_ + start.bytes > buffer_.size()) [[unlikely]] {
    make_room(start.bytes);
  }
  std::byte* place =
      put_varlong(buffer_.data() + used_bytes_, static_cast<std::int64_t>(start.content_bytes));
  used_bytes_ += start.bytes;
  *place++ = std::byte{0};
  place = put_varlong(place, start.timestamp_delta);
  return put_varlong(place, records_count_++);
}

// All of the memory at once: to resize for every record would cost more than the record.
void RecordBatchBuilder::make_room(std::size_t bytes) {
  const std::size_t needed = used_bytes_ + bytes;
  if (needed > buffer_.capacity()) {
    Buffer larger;
    larger.reserve(std::max(buffer_.capacity() * 2, needed));
    onceflow::append(larger, ByteView(buffer_).first(std::min(used_bytes_, buffer_.size())));
    buffer_ = std::move(larger);
  }
  buffer_.resize(buffer_.capacity());
}

[[gnu::always_inline]] inline void RecordBatchBuilder::append(const NewRecord& record,
                                                              const RecordStart& start) {
  std::byte* place = begin_record(start);
  place = put_nullable(place, record.key);
  place = put_nullable(place, record.value);
  if (!record.encoded_headers.empty()) {
    place = put_bytes(place, record.encoded_headers);
  } else {
    place = put_varlong(place, static_cast<std::int64_t>(record.headers.size()));
    for (const RecordHeaderView& header : record.headers) {
      place = put_varlong(place, static_cast<std::int64_t>(header.key.size()));
      place = put_bytes(place, as_bytes(header.key));
      place = put_nullable(place, header.value);
    }
  }
  CHECK(place == buffer_.data() + used_bytes_);
}

void RecordBatchBuilder::append(const NewRecord& record) {
  append(record, plan(record.timestamp_ms, body_bytes(record)));
}

bool RecordBatchBuilder::append_if_it_fits(const NewRecord& record, std::size_t size_bytes_max) {
  const RecordStart start = plan(record.timestamp_ms, body_bytes(record));
  if (used_bytes_ + start.bytes > size_bytes_max) {
    return false;
  }
  append(record, start);
  return true;
}

void RecordBatchBuilder::append(const RecordView& record, std::int64_t timestamp_ms) {
  std::byte* place = begin_record(plan(timestamp_ms, record.body.size()));
  place = put_bytes(place, record.body);
  CHECK(place == buffer_.data() + used_bytes_);
}

std::size_t RecordBatchBuilder::size_bytes_max(const NewRecord& record) {
  constexpr std::size_t kBeforeBodyBytesMax = 5 + 1 + kVarlongBytesMax + 5;
  return kBeforeBodyBytesMax + body_bytes(record);
}

Buffer RecordBatchBuilder::finish(const BatchStamp& stamp) {
  CHECK(records_count_ > 0);
  buffer_.resize(used_bytes_);
  Buffer batch;
  if (stamp.codec == CompressionCodec::kNone) {
    batch = std::move(buffer_);
  } else {
    batch.resize(kBatchHeaderBytes);
    compress(stamp.codec, ByteView(buffer_).subspan(kBatchHeaderBytes), batch);
  }
  const std::size_t length = batch.size() - batch_layout::kLogOverheadBytes;
  CHECK(std::cmp_less_equal(length, std::numeric_limits<std::int32_t>::max()));

  const auto store = [&batch](std::size_t position, auto number) {
    wire::store_big_endian(batch.data() + position, number);
  };
  store(batch_layout::kBaseOffset, stamp.base_offset.value);
  store(batch_layout::kBatchLength, static_cast<std::int32_t>(length));
  store(batch_layout::kPartitionLeaderEpoch, stamp.partition_leader_epoch);
  store(batch_layout::kMagic, kMagicV2);
  store(batch_layout::kAttributes, attributes_of(stamp));
  store(batch_layout::kLastOffsetDelta, records_count_ - 1);
  store(batch_layout::kBaseTimestamp, base_timestamp_);
  store(batch_layout::kMaxTimestamp, max_timestamp_);
  store(batch_layout::kProducerId, stamp.producer.id.value);
  store(batch_layout::kProducerEpoch, stamp.producer.epoch.value);
  store(batch_layout::kBaseSequence, stamp.base_sequence.value);
  store(batch_layout::kRecordsCount, records_count_);
  store(batch_layout::kCrc, crc32c(ByteView(batch).subspan(batch_layout::kCrcStart)));
  clear();
  return batch;
}

void RecordBatchBuilder::reuse(Buffer memory) {
  CHECK(empty());
  buffer_ = std::move(memory);
  clear();
}

void RecordBatchBuilder::clear() {
  used_bytes_ = kBatchHeaderBytes;
  records_count_ = 0;
  base_timestamp_ = max_timestamp_ = -1;
}

}  // namespace onceflow::protocol
