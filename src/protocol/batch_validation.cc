// The checks of a produced batch, in Kafka's order.
#include "protocol/batch_validation.h"

#include <fmt/format.h>

#include <algorithm>

namespace onceflow::protocol {
namespace {

constexpr std::int16_t kZstdVersionMin = 7;

std::unexpected<BatchFault> fault(ErrorCode code, std::string text,
                                  std::optional<std::int32_t> record_index = {}) {
  return std::unexpected(BatchFault{code, std::move(text), record_index});
}

/// Exactly one batch, of magic 2, with fields that can be: up to the checksum.
std::expected<RecordBatchView, BatchFault> check_envelope(ByteView records,
                                                          const BatchValidationOptions& options) {
  if (records.size() <= batch_layout::kMagic) {
    return fault(ErrorCode::kInvalidRecord, "a produce request must hold one record batch");
  }
  const auto magic = static_cast<std::int8_t>(records[batch_layout::kMagic]);
  if (magic != kMagicV2) {
    return fault(ErrorCode::kInvalidRecord,
                 fmt::format("a record batch of magic {}; only 2 is accepted", magic));
  }
  const auto length =
      wire::load_big_endian<std::int32_t>(records.data() + batch_layout::kBatchLength);
  const std::int64_t size_bytes = std::int64_t{length} + batch_layout::kLogOverheadBytes;
  const bool is_whole = size_bytes >= static_cast<std::int64_t>(kBatchHeaderBytes) &&
                        size_bytes <= static_cast<std::int64_t>(records.size());
  if (is_whole && size_bytes < static_cast<std::int64_t>(records.size())) {
    return fault(ErrorCode::kInvalidRecord, "more than one record batch for a partition");
  }
  if (records.size() >= kBatchHeaderBytes) {
    const auto attributes =
        wire::load_big_endian<std::int16_t>(records.data() + batch_layout::kAttributes);
    const int codec = attributes & kCodecMask;
    if (codec == static_cast<int>(CompressionCodec::kZstd) &&
        options.produce_version < kZstdVersionMin) {
      return fault(ErrorCode::kUnsupportedCompressionType,
                   fmt::format("zstd needs Produce version {} or later", kZstdVersionMin));
    }
    if (codec > static_cast<int>(CompressionCodec::kZstd)) {
      return fault(ErrorCode::kCorruptMessage, fmt::format("no compression codec {}", codec));
    }
    const auto base_offset =
        wire::load_big_endian<std::int64_t>(records.data() + batch_layout::kBaseOffset);
    if (base_offset != 0) {
      return fault(ErrorCode::kInvalidRecord,
                   fmt::format("the base offset must be 0 but is {}", base_offset));
    }
  }
  const auto size_bytes_or_0 = static_cast<std::size_t>(std::max<std::int64_t>(size_bytes, 0));
  if (size_bytes_or_0 > options.max_message_bytes) {
    return fault(
        ErrorCode::kMessageTooLarge,
        fmt::format("a record batch of {} bytes is larger than the topic's max.message.bytes of "
                    "{} bytes; send smaller batches, or raise it with kafka-configs.sh "
                    "--alter --add-config max.message.bytes={}",
                    size_bytes, options.max_message_bytes, size_bytes));
  }
  if (size_bytes_or_0 > options.segment_bytes) {
    return fault(
        ErrorCode::kRecordListTooLarge,
        fmt::format("a record batch of {} bytes is larger than the topic's segment.bytes of {} "
                    "bytes; send smaller batches, or raise it with kafka-configs.sh --alter "
                    "--add-config segment.bytes={}",
                    size_bytes, options.segment_bytes, size_bytes));
  }
  const auto batch = RecordBatchView::parse(records);
  if (!batch) {
    return fault(ErrorCode::kCorruptMessage, batch.error().text);
  }
  if (!batch->crc_matches()) {
    return fault(ErrorCode::kCorruptMessage,
                 fmt::format("the checksum is {:08x} but the batch says {:08x}",
                             batch->computed_crc(), batch->header().crc));
  }
  return *batch;
}

std::expected<void, BatchFault> check_header(const RecordBatchHeader& header) {
  if (header.records_count <= 0 || header.last_offset_delta < 0 ||
      std::int64_t{header.records_count} != std::int64_t{header.last_offset_delta} + 1) {
    return fault(ErrorCode::kInvalidRecord,
                 fmt::format("{} records and a last offset delta of {} do not fit together",
                             header.records_count, header.last_offset_delta));
  }
  if (header.is_control()) {
    return fault(ErrorCode::kInvalidRecord, "clients may not write control batches");
  }
  if (header.has_producer_id() && header.base_sequence.value < 0) {
    return fault(ErrorCode::kInvalidRecord,
                 fmt::format("producer id {} without a sequence", header.producer_id.value));
  }
  return {};
}

std::expected<void, BatchFault> check_record(const RecordBatchHeader& header,
                                             const RecordView& record, std::int32_t index,
                                             const BatchValidationOptions& options) {
  if (record.offset_delta != index) {
    return fault(ErrorCode::kInvalidRecord,
                 fmt::format("record {} has the offset delta {}", index, record.offset_delta),
                 index);
  }
  if (options.key_rule == KeyRule::kRequired && !record.key) {
    return fault(ErrorCode::kInvalidRecord,
                 fmt::format("record {} has no key, which a compacted topic needs", index), index);
  }
  if (options.timestamp_type == TimestampType::kCreateTime) {
    const std::int64_t timestamp = header.timestamp_of(record);
    // -1 is a record without a timestamp.
    if (timestamp != -1 &&
        (timestamp < options.timestamp_ms_min || timestamp > options.timestamp_ms_max)) {
      return fault(
          ErrorCode::kInvalidTimestamp,
          fmt::format("the timestamp {} of record {} is outside of {} to {}; correct the "
                      "producer's clock, or set the topic's message.timestamp.after.max.ms "
                      "(or before.max.ms)",
                      timestamp, index, options.timestamp_ms_min, options.timestamp_ms_max),
          index);
    }
  }
  return {};
}

/// The latest timestamp, if all records are sound.
std::expected<std::int64_t, BatchFault> check_records(const RecordBatchView& batch,
                                                      const BatchValidationOptions& options,
                                                      Buffer& scratch) {
  const RecordBatchHeader& header = batch.header();
  const auto bytes = decompress_records(batch, options.decompressed_bytes_max, scratch);
  if (!bytes) {
    // Clients split a batch that is too large, and then each part may pass.
    const bool is_too_large = bytes.error().code == onceflow::ErrorCode::kRefused;
    return fault(is_too_large ? ErrorCode::kMessageTooLarge : ErrorCode::kInvalidRecord,
                 bytes.error().text);
  }
  RecordReader records(*bytes, header.records_count);
  RecordView record;
  std::int64_t max_timestamp = -1;
  std::int32_t index = 0;
  for (; records.next(record); ++index) {
    if (auto sound = check_record(header, record, index, options); !sound) {
      return std::unexpected(std::move(sound.error()));
    }
    max_timestamp = std::max(max_timestamp, header.timestamp_of(record));
  }
  if (!records.complete()) {
    return fault(ErrorCode::kInvalidRecord,
                 fmt::format("after {} of {} records the batch does not parse", index,
                             header.records_count));
  }
  return max_timestamp;
}

}  // namespace

std::expected<ValidatedBatch, BatchFault> validate_produced_batch(
    ByteView records, const BatchValidationOptions& options, Buffer& scratch) {
  const auto batch = check_envelope(records, options);
  if (!batch) {
    return std::unexpected(batch.error());
  }
  const RecordBatchHeader& header = batch->header();
  if (auto sound = check_header(header); !sound) {
    return std::unexpected(std::move(sound.error()));
  }
  ValidatedBatch validated{header, header.max_timestamp};
  if (options.inner_records == InnerRecords::kCheck) {
    const auto max_timestamp = check_records(*batch, options, scratch);
    if (!max_timestamp) {
      return std::unexpected(max_timestamp.error());
    }
    validated.max_timestamp = *max_timestamp;
  }
  if (header.timestamp_type() == TimestampType::kLogAppendTime) {
    return fault(ErrorCode::kInvalidTimestamp,
                 "a producer may not claim log append time for its records");
  }
  return validated;
}

std::expected<ValidatedBatch, BatchFault> validate_produced_batch(
    ByteView records, const BatchValidationOptions& options) {
  Buffer scratch;
  return validate_produced_batch(records, options, scratch);
}

}  // namespace onceflow::protocol
