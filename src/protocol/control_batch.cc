// Building and parsing of end-of-transaction markers.
#include "protocol/control_batch.h"

#include <fmt/format.h>

#include "base/check.h"
#include "base/wire.h"
#include "protocol/record_batch_builder.h"

namespace onceflow::protocol {
namespace {

constexpr std::int16_t kKeyVersion = 0;
constexpr std::int16_t kValueVersion = 0;
// A control batch holds one small record.
constexpr std::size_t kControlBytesMax = 64 * 1024;

std::unexpected<Error> malformed(const RecordBatchView& batch) {
  return fail(onceflow::ErrorCode::kCorrupt,
              fmt::format("the control batch at offset {} does not parse",
                          batch.header().base_offset.value));
}

}  // namespace

Buffer encode_end_transaction_marker(const EndTransactionMarker& marker, Offset base_offset,
                                     std::int32_t partition_leader_epoch) {
  Buffer key;
  WireWriter key_writer(key);
  key_writer.write_int16(kKeyVersion);
  key_writer.write_int16(static_cast<std::int16_t>(marker.type));
  Buffer value;
  WireWriter value_writer(value);
  value_writer.write_int16(kValueVersion);
  value_writer.write_int32(marker.coordinator_epoch);

  RecordBatchBuilder builder;
  builder.append({.timestamp_ms = marker.timestamp_ms, .key = key, .value = value});
  Buffer batch = builder.finish({.base_offset = base_offset,
                                 .partition_leader_epoch = partition_leader_epoch,
                                 .producer = marker.producer,
                                 .is_transactional = true,
                                 .is_control = true});
  CHECK(batch.size() == kEndTransactionMarkerBytes);
  return batch;
}

Result<std::optional<EndTransactionMarker>> parse_end_transaction_marker(
    const RecordBatchView& batch) {
  const RecordBatchHeader& header = batch.header();
  if (!header.is_control() || header.records_count < 1) {
    return malformed(batch);
  }
  const auto decoded = DecodedBatch::decode(batch, kControlBytesMax);
  if (!decoded) {
    return std::unexpected(decoded.error());
  }
  RecordReader records = decoded->records();
  RecordView record;
  if (!records.next(record) || !record.key) {
    return malformed(batch);
  }
  WireReader key(*record.key);
  const std::int16_t key_version = key.read_int16();
  const auto type = static_cast<ControlRecordType>(key.read_int16());
  if (!key.ok() || key_version < 0) {
    return malformed(batch);
  }
  if (type != ControlRecordType::kAbort && type != ControlRecordType::kCommit) {
    return std::nullopt;
  }
  // A newer version of the value begins with the fields of this one.
  WireReader value(record.value.value_or(ByteView{}));
  const std::int16_t value_version = value.read_int16();
  const std::int32_t coordinator_epoch = value.read_int32();
  if (!value.ok() || value_version < 0) {
    return malformed(batch);
  }
  return EndTransactionMarker{.type = type,
                              .producer = header.producer(),
                              .coordinator_epoch = coordinator_epoch,
                              .timestamp_ms = header.timestamp_of(record)};
}

}  // namespace onceflow::protocol
