// RecordBatchBuilder: records in, one batch out. Owned by whoever produces; no lock inside.
//
// Records are encoded as they come, into the buffer that becomes the batch; so an uncompressed
// batch is never copied.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "base/bytes.h"
#include "base/ids.h"
#include "protocol/compression.h"
#include "protocol/record_batch.h"

namespace onceflow::protocol {

/// A record to be written; the views are copied by append().
struct NewRecord {
  std::int64_t timestamp_ms = -1;
  std::optional<ByteView> key;
  std::optional<ByteView> value;
  std::span<const RecordHeaderView> headers;
  /// Instead of `headers`, if not empty: encoded already, with their count in front.
  ByteView encoded_headers;
};

/// What finish() writes into the header.
struct BatchStamp {
  Offset base_offset{0};
  std::int32_t partition_leader_epoch = -1;
  ProducerIdentity producer;
  Sequence base_sequence = kNoSequence;
  bool is_transactional = false;
  bool is_control = false;
  TimestampType timestamp_type = TimestampType::kCreateTime;
  CompressionCodec codec = CompressionCodec::kNone;
};

class RecordBatchBuilder {
 public:
  void append(const NewRecord& record);
  /// False, and nothing done, if the batch would get larger than `size_bytes_max`.
  bool append_if_it_fits(const NewRecord& record, std::size_t size_bytes_max);
  /// A record of another batch: key, value and headers are copied as one run.
  void append(const RecordView& record, std::int64_t timestamp_ms);

  std::int32_t records_count() const { return records_count_; }
  bool empty() const { return records_count_ == 0; }
  /// Of the batch as it would be uncompressed.
  std::size_t size_bytes() const { return used_bytes_; }
  /// No record of that size can make the batch larger than size_bytes() + this.
  static std::size_t size_bytes_max(const NewRecord& record);

  /// The whole batch with its checksum; the builder is empty afterwards. At least one record.
  Buffer finish(const BatchStamp& stamp);
  /// Forgets the records and keeps the memory.
  void clear();
  /// Takes memory to build the next batch in. The builder must be empty.
  void reuse(Buffer memory);

 private:
  /// What stands before the body of the next record.
  struct RecordStart {
    std::int64_t timestamp_ms;
    std::int64_t timestamp_delta;
    std::size_t content_bytes;  ///< of the record without its length
    std::size_t bytes;          ///< of all of it
  };
  RecordStart plan(std::int64_t timestamp_ms, std::size_t body_bytes) const;
  /// Makes room, writes the start, and returns where the body goes.
  std::byte* begin_record(const RecordStart& start);
  void append(const NewRecord& record, const RecordStart& start);
  void make_room(std::size_t bytes);

  Buffer buffer_;  ///< of which the first `used_bytes_` are the batch
  std::size_t used_bytes_ = kBatchHeaderBytes;
  std::int32_t records_count_ = 0;
  std::int64_t base_timestamp_ = -1;
  std::int64_t max_timestamp_ = -1;
};

}  // namespace onceflow::protocol
