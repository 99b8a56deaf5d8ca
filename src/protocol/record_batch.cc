// Parsing, walking and rewriting of record batches.
#include "protocol/record_batch.h"

#include <fmt/format.h>

#include <limits>

#include "base/check.h"
#include "base/crc32c.h"

namespace onceflow::protocol {
namespace {

using namespace batch_layout;

void rewrite_crc(MutableByteView batch) {
  wire::store_big_endian(batch.data() + kCrc, crc32c(ByteView(batch).subspan(kCrcStart)));
}

}  // namespace

Sequence advance_sequence(Sequence sequence, std::int32_t count) {
  constexpr std::int64_t kCount = std::int64_t{std::numeric_limits<std::int32_t>::max()} + 1;
  return Sequence(static_cast<std::int32_t>((std::int64_t{sequence.value} + count) % kCount));
}

Result<RecordBatchHeader> RecordBatchHeader::parse(ByteView bytes) {
  // The magic comes first: older formats have other fields from there on.
  if (bytes.size() > kMagic && static_cast<std::int8_t>(bytes[kMagic]) != kMagicV2) {
    return fail(onceflow::ErrorCode::kUnsupported,
                fmt::format("a record batch of magic {}; only 2 is supported",
                            static_cast<std::int8_t>(bytes[kMagic])));
  }
  if (bytes.size() < kBatchHeaderBytes) {
    return fail(onceflow::ErrorCode::kCorrupt,
                fmt::format("{} bytes cannot hold a record batch", bytes.size()));
  }
  WireReader reader(bytes);
  RecordBatchHeader header;
  header.base_offset = Offset(reader.read_int64());
  header.batch_length = reader.read_int32();
  header.partition_leader_epoch = reader.read_int32();
  header.magic = reader.read_int8();
  header.crc = reader.read_uint32();
  header.attributes = reader.read_int16();
  header.last_offset_delta = reader.read_int32();
  header.base_timestamp = reader.read_int64();
  header.max_timestamp = reader.read_int64();
  header.producer_id = ProducerId(reader.read_int64());
  header.producer_epoch = ProducerEpoch(reader.read_int16());
  header.base_sequence = Sequence(reader.read_int32());
  header.records_count = reader.read_int32();
  CHECK(reader.ok() && reader.position() == kBatchHeaderBytes);
  constexpr auto kLengthMin = static_cast<std::int32_t>(kBatchHeaderBytes - kLogOverheadBytes);
  if (header.batch_length < kLengthMin) {
    return fail(onceflow::ErrorCode::kCorrupt,
                fmt::format("a record batch claims a length of {} bytes", header.batch_length));
  }
  return header;
}

Sequence RecordBatchHeader::last_sequence() const {
  return base_sequence.value < 0 ? kNoSequence : advance_sequence(base_sequence, last_offset_delta);
}

Result<RecordBatchView> RecordBatchView::parse(ByteView bytes) {
  const auto header = RecordBatchHeader::parse(bytes);
  if (!header) {
    return std::unexpected(header.error());
  }
  if (header->size_bytes() > bytes.size()) {
    return fail(onceflow::ErrorCode::kCorrupt,
                fmt::format("a record batch of {} bytes is cut off after {}", header->size_bytes(),
                            bytes.size()));
  }
  return RecordBatchView(*header, bytes.first(header->size_bytes()));
}

std::uint32_t RecordBatchView::computed_crc() const { return crc32c(bytes_.subspan(kCrcStart)); }

Result<std::optional<RecordBatchView>> RecordBatchReader::next() {
  const ByteView rest = bytes_.subspan(position_);
  if (rest.size() < kBatchHeaderBytes) {
    // A cut inside the header; but an old magic is told, not taken for the end.
    if (rest.size() > kMagic && static_cast<std::int8_t>(rest[kMagic]) != kMagicV2) {
      return std::unexpected(RecordBatchHeader::parse(rest).error());
    }
    return std::nullopt;
  }
  const auto header = RecordBatchHeader::parse(rest);
  if (!header) {
    return std::unexpected(header.error());
  }
  if (header->size_bytes() > rest.size()) {
    return std::nullopt;
  }
  position_ += header->size_bytes();
  return RecordBatchView(*header, rest.first(header->size_bytes()));
}

Result<ByteView> decompress_records(const RecordBatchView& batch, std::size_t bytes_max,
                                    Buffer& scratch) {
  if (batch.header().codec() == CompressionCodec::kNone) {
    return batch.record_bytes();
  }
  RETURN_IF_ERROR(decompress(batch.header().codec(), batch.record_bytes(), bytes_max, scratch));
  return ByteView(scratch);
}

Result<DecodedBatch> DecodedBatch::decode(const RecordBatchView& batch, std::size_t bytes_max) {
  DecodedBatch decoded;
  decoded.header_ = batch.header();
  const auto records = decompress_records(batch, bytes_max, decoded.scratch_);
  if (!records) {
    return std::unexpected(records.error());
  }
  decoded.record_bytes_ = *records;
  return decoded;
}

void rewrite_base_offset(MutableByteView batch, Offset base_offset) {
  CHECK(batch.size() >= kBatchHeaderBytes);
  wire::store_big_endian(batch.data() + kBaseOffset, base_offset.value);
}

void rewrite_partition_leader_epoch(MutableByteView batch, std::int32_t partition_leader_epoch) {
  CHECK(batch.size() >= kBatchHeaderBytes);
  wire::store_big_endian(batch.data() + kPartitionLeaderEpoch, partition_leader_epoch);
}

void rewrite_max_timestamp(MutableByteView batch, std::int64_t max_timestamp) {
  CHECK(batch.size() >= kBatchHeaderBytes);
  wire::store_big_endian(batch.data() + kMaxTimestamp, max_timestamp);
  rewrite_crc(batch);
}

void rewrite_log_append_time(MutableByteView batch, WallTime now) {
  CHECK(batch.size() >= kBatchHeaderBytes);
  const auto attributes = wire::load_big_endian<std::int16_t>(batch.data() + kAttributes);
  wire::store_big_endian(batch.data() + kAttributes,
                         static_cast<std::int16_t>(attributes | kLogAppendTimeBit));
  wire::store_big_endian(batch.data() + kMaxTimestamp, now.ms);
  rewrite_crc(batch);
}

void rewrite_producer(MutableByteView batch, ProducerIdentity producer, Sequence base_sequence) {
  CHECK(batch.size() >= kBatchHeaderBytes);
  wire::store_big_endian(batch.data() + kProducerId, producer.id.value);
  wire::store_big_endian(batch.data() + kProducerEpoch, producer.epoch.value);
  wire::store_big_endian(batch.data() + kBaseSequence, base_sequence.value);
  rewrite_crc(batch);
}

}  // namespace onceflow::protocol
