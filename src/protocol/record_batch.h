// Record batches, format v2: their header, views of them, and the fields a broker rewrites in
// place. Values and views into bytes that somebody else owns; any thread.
//
// Layout: docs/formats/record_batch.md.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "base/wire.h"
#include "protocol/compression.h"
#include "protocol/record.h"

namespace onceflow::protocol {

/// Where the fields of a batch stand.
namespace batch_layout {
inline constexpr std::size_t kBaseOffset = 0;
inline constexpr std::size_t kBatchLength = 8;
inline constexpr std::size_t kPartitionLeaderEpoch = 12;
inline constexpr std::size_t kMagic = 16;
inline constexpr std::size_t kCrc = 17;
inline constexpr std::size_t kAttributes = 21;
inline constexpr std::size_t kLastOffsetDelta = 23;
inline constexpr std::size_t kBaseTimestamp = 27;
inline constexpr std::size_t kMaxTimestamp = 35;
inline constexpr std::size_t kProducerId = 43;
inline constexpr std::size_t kProducerEpoch = 51;
inline constexpr std::size_t kBaseSequence = 53;
inline constexpr std::size_t kRecordsCount = 57;
inline constexpr std::size_t kRecords = 61;

/// What batch_length does not count: the base offset and itself.
inline constexpr std::size_t kLogOverheadBytes = 12;
/// The checksum covers the bytes from here to the end.
inline constexpr std::size_t kCrcStart = kAttributes;

static_assert(kBatchLength == kBaseOffset + sizeof(std::int64_t));
static_assert(kPartitionLeaderEpoch == kBatchLength + sizeof(std::int32_t));
static_assert(kPartitionLeaderEpoch == kLogOverheadBytes);
static_assert(kMagic == kPartitionLeaderEpoch + sizeof(std::int32_t));
static_assert(kCrc == kMagic + sizeof(std::int8_t));
static_assert(kAttributes == kCrc + sizeof(std::uint32_t));
static_assert(kLastOffsetDelta == kAttributes + sizeof(std::int16_t));
static_assert(kBaseTimestamp == kLastOffsetDelta + sizeof(std::int32_t));
static_assert(kMaxTimestamp == kBaseTimestamp + sizeof(std::int64_t));
static_assert(kProducerId == kMaxTimestamp + sizeof(std::int64_t));
static_assert(kProducerEpoch == kProducerId + sizeof(std::int64_t));
static_assert(kBaseSequence == kProducerEpoch + sizeof(std::int16_t));
static_assert(kRecordsCount == kBaseSequence + sizeof(std::int32_t));
static_assert(kRecords == kRecordsCount + sizeof(std::int32_t));
}  // namespace batch_layout

inline constexpr std::int8_t kMagicV2 = 2;
inline constexpr std::size_t kBatchHeaderBytes = batch_layout::kRecords;

/// Bits of the attributes above the codec.
inline constexpr std::int16_t kCodecMask = 0x07;
inline constexpr std::int16_t kLogAppendTimeBit = 0x08;
inline constexpr std::int16_t kTransactionalBit = 0x10;
inline constexpr std::int16_t kControlBit = 0x20;
inline constexpr std::int16_t kDeleteHorizonBit = 0x40;

enum class TimestampType : std::int8_t { kCreateTime = 0, kLogAppendTime = 1 };

/// The sequence `count` records later; it wraps from 2^31-1 to 0.
Sequence advance_sequence(Sequence sequence, std::int32_t count);

/// The 61 bytes before the records.
struct RecordBatchHeader {
  Offset base_offset;
  std::int32_t batch_length = 0;
  std::int32_t partition_leader_epoch = -1;
  std::int8_t magic = kMagicV2;
  std::uint32_t crc = 0;
  std::int16_t attributes = 0;
  std::int32_t last_offset_delta = 0;
  std::int64_t base_timestamp = -1;
  std::int64_t max_timestamp = -1;
  ProducerId producer_id = kNoProducerId;
  ProducerEpoch producer_epoch = kNoProducerEpoch;
  Sequence base_sequence = kNoSequence;
  std::int32_t records_count = 0;

  /// Reads the header only: kCorrupt for fewer than 61 bytes or a batch_length that cannot hold it,
  /// kUnsupported for a magic other than 2. Nothing else is checked.
  static Result<RecordBatchHeader> parse(ByteView bytes);

  CompressionCodec codec() const { return static_cast<CompressionCodec>(attributes & kCodecMask); }
  TimestampType timestamp_type() const {
    return (attributes & kLogAppendTimeBit) ? TimestampType::kLogAppendTime
                                            : TimestampType::kCreateTime;
  }
  bool is_transactional() const { return (attributes & kTransactionalBit) != 0; }
  bool is_control() const { return (attributes & kControlBit) != 0; }
  bool has_delete_horizon() const { return (attributes & kDeleteHorizonBit) != 0; }
  bool has_producer_id() const { return producer_id.value >= 0; }
  ProducerIdentity producer() const { return {producer_id, producer_epoch}; }
  Offset last_offset() const { return base_offset + last_offset_delta; }
  Offset next_offset() const { return base_offset + (std::int64_t{last_offset_delta} + 1); }
  /// -1 if there is none.
  Sequence last_sequence() const;
  /// Of the whole batch, header included.
  std::size_t size_bytes() const {
    return batch_layout::kLogOverheadBytes + static_cast<std::size_t>(batch_length);
  }
  /// The time consumers see of a record: the append time of the batch if the log stamped it.
  std::int64_t timestamp_of(const RecordView& record) const {
    return timestamp_type() == TimestampType::kLogAppendTime
               ? max_timestamp
               : static_cast<std::int64_t>(static_cast<std::uint64_t>(base_timestamp) +
                                           static_cast<std::uint64_t>(record.timestamp_delta));
  }
  Offset offset_of(const RecordView& record) const { return base_offset + record.offset_delta; }

  bool operator==(const RecordBatchHeader& other) const = default;
};

/// One whole batch within bytes that somebody else owns.
class RecordBatchView {
 public:
  /// The batch at the front of `bytes`; what follows it is not part of the view. kCorrupt if it is
  /// not whole. The checksum is not computed.
  static Result<RecordBatchView> parse(ByteView bytes);

  const RecordBatchHeader& header() const { return header_; }
  ByteView bytes() const { return bytes_; }
  /// After the header; compressed if the codec says so.
  ByteView record_bytes() const { return bytes_.subspan(batch_layout::kRecords); }
  std::uint32_t computed_crc() const;
  bool crc_matches() const { return computed_crc() == header_.crc; }

 private:
  friend class RecordBatchReader;
  RecordBatchView(const RecordBatchHeader& header, ByteView bytes)
      : header_(header), bytes_(bytes) {}

  RecordBatchHeader header_;
  ByteView bytes_;
};

/// Walks the batches of a fetched or stored run of bytes.
class RecordBatchReader {
 public:
  explicit RecordBatchReader(ByteView bytes) : bytes_(bytes) {}

  /// The next whole batch; nullopt at the end, or where the last batch is cut off, as a fetch may
  /// leave it. After an error it stays where it is.
  Result<std::optional<RecordBatchView>> next();

  /// Bytes before the next batch.
  std::size_t position() const { return position_; }
  /// Bytes of a batch that was cut off, once next() has given nullopt.
  std::size_t bytes_left() const { return bytes_.size() - position_; }

 private:
  ByteView bytes_;
  std::size_t position_ = 0;
};

/// A decompressed batch shall not be larger than this unless somebody says otherwise.
inline constexpr std::size_t kDecompressedBytesMax = 128 * 1024 * 1024;

/// The records of a batch, decompressed into `scratch` if they are compressed, else in place. The
/// view lives as long as both. Errors as decompress().
Result<ByteView> decompress_records(const RecordBatchView& batch, std::size_t bytes_max,
                                    Buffer& scratch);

/// A batch whose records can be read. It owns memory only if it had to decompress; otherwise the
/// fetched bytes must outlive it.
class DecodedBatch {
 public:
  static Result<DecodedBatch> decode(const RecordBatchView& batch,
                                     std::size_t bytes_max = kDecompressedBytesMax);

  DecodedBatch(DecodedBatch&&) = default;
  DecodedBatch& operator=(DecodedBatch&&) = default;

  const RecordBatchHeader& header() const { return header_; }
  RecordReader records() const { return {record_bytes_, header_.records_count}; }
  ByteView record_bytes() const { return record_bytes_; }

 private:
  DecodedBatch() = default;

  RecordBatchHeader header_;
  Buffer scratch_;
  ByteView
      record_bytes_;  // of scratch_, whose bytes stay in place when it is moved, or of the fetch
};

// What a broker writes into a batch that it appends. `batch` is one whole batch of magic 2.

/// Outside of the checksum.
void rewrite_base_offset(MutableByteView batch, Offset base_offset);
void rewrite_partition_leader_epoch(MutableByteView batch, std::int32_t partition_leader_epoch);
/// These compute the checksum anew.
void rewrite_max_timestamp(MutableByteView batch, std::int64_t max_timestamp);
void rewrite_log_append_time(MutableByteView batch, WallTime now);
/// For a producer that sends a batch again in a new life.
void rewrite_producer(MutableByteView batch, ProducerIdentity producer, Sequence base_sequence);

}  // namespace onceflow::protocol
