// Validation of what a client produces: one batch against the table of
// docs/formats/record_batch.md, in its order. Stateless; what needs the producer's state or the
// transaction's comes later, in the log.
#pragma once

#include <cstdint>
#include <expected>
#include <limits>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "protocol/error_code.h"
#include "protocol/record_batch.h"

namespace onceflow::protocol {

/// Whether the records inside are walked; trusted only where we wrote them ourselves.
enum class InnerRecords { kCheck, kTrust };
enum class KeyRule { kAny, kRequired };

struct BatchValidationOptions {
  std::int16_t produce_version = 0;
  std::size_t max_message_bytes = 1048588;  ///< max.message.bytes
  std::size_t segment_bytes = std::numeric_limits<std::int32_t>::max();
  KeyRule key_rule = KeyRule::kAny;  ///< kRequired on a compacted topic
  TimestampType timestamp_type = TimestampType::kCreateTime;
  /// Limits of a record's own timestamp; not used with append time.
  std::int64_t timestamp_ms_min = std::numeric_limits<std::int64_t>::min();
  std::int64_t timestamp_ms_max = std::numeric_limits<std::int64_t>::max();
  InnerRecords inner_records = InnerRecords::kCheck;
  std::size_t decompressed_bytes_max = kDecompressedBytesMax;
};

struct ValidatedBatch {
  RecordBatchHeader header;  ///< as the client sent it
  /// The latest timestamp of the records, where they were walked; the header's otherwise. If it
  /// differs from the header's, the log stores this one (rewrite_max_timestamp).
  std::int64_t max_timestamp = -1;
};

/// The answer for the partition; nothing of the batch may be appended.
struct BatchFault {
  ErrorCode code = ErrorCode::kInvalidRecord;
  std::string text;
  /// The first record at fault, for RecordErrors of Produce v8 and later.
  std::optional<std::int32_t> record_index;
};

/// `records` is the field of the request. `scratch` receives decompressed records and may be
/// reused.
std::expected<ValidatedBatch, BatchFault> validate_produced_batch(
    ByteView records, const BatchValidationOptions& options, Buffer& scratch);
std::expected<ValidatedBatch, BatchFault> validate_produced_batch(
    ByteView records, const BatchValidationOptions& options);

}  // namespace onceflow::protocol
