// What a client may produce, and the answer to what it may not.
#include "protocol/batch_validation.h"

#include <gtest/gtest.h>

#include "base/crc32c.h"
#include "protocol/record_batch_builder.h"

namespace onceflow::protocol {
namespace {

Buffer batch_of(std::int32_t count, const BatchStamp& stamp = {}) {
  RecordBatchBuilder builder;
  for (std::int32_t index = 0; index < count; ++index) {
    builder.append({.timestamp_ms = 1000 + index, .key = as_bytes("k"), .value = as_bytes("v")});
  }
  return builder.finish(stamp);
}

/// Overwrites a field and renews the checksum.
template <typename Integer>
Buffer with(Buffer batch, std::size_t position, Integer number) {
  wire::store_big_endian(batch.data() + position, number);
  wire::store_big_endian(batch.data() + batch_layout::kCrc,
                         crc32c(ByteView(batch).subspan(batch_layout::kCrcStart)));
  return batch;
}

BatchValidationOptions options() { return {.produce_version = 9}; }

ErrorCode code_of(ByteView records, const BatchValidationOptions& with_options = options()) {
  const auto validated = validate_produced_batch(records, with_options);
  if (validated) {
    return ErrorCode::kNone;
  }
  EXPECT_FALSE(validated.error().text.empty());
  return validated.error().code;
}

TEST(BatchValidation, a_sound_batch_passes_with_every_codec) {
  for (int codec = 0; codec <= 4; ++codec) {
    const Buffer batch = batch_of(5, {.producer = {ProducerId(1), ProducerEpoch(0)},
                                      .base_sequence = Sequence(0),
                                      .is_transactional = true,
                                      .codec = static_cast<CompressionCodec>(codec)});
    const auto validated = validate_produced_batch(batch, options());
    ASSERT_TRUE(validated.has_value()) << validated.error().text;
    EXPECT_EQ(validated->header.records_count, 5);
    EXPECT_EQ(validated->max_timestamp, 1004);
  }
}

TEST(BatchValidation, there_must_be_exactly_one_batch_of_magic_2) {
  EXPECT_EQ(code_of({}), ErrorCode::kInvalidRecord);
  EXPECT_EQ(code_of(ByteView(batch_of(1)).first(16)), ErrorCode::kInvalidRecord);
  Buffer two = batch_of(1);
  append(two, batch_of(1));
  EXPECT_EQ(code_of(two), ErrorCode::kInvalidRecord);
  Buffer trailing = batch_of(1);
  trailing.push_back(std::byte{0});
  EXPECT_EQ(code_of(trailing), ErrorCode::kInvalidRecord);
  for (const std::int8_t magic : {0, 1, 3, -1}) {
    EXPECT_EQ(code_of(with(batch_of(1), batch_layout::kMagic, magic)), ErrorCode::kInvalidRecord);
  }
}

TEST(BatchValidation, zstd_needs_produce_version_7) {
  const Buffer batch = batch_of(1, {.codec = CompressionCodec::kZstd});
  EXPECT_EQ(code_of(batch, {.produce_version = 6}), ErrorCode::kUnsupportedCompressionType);
  EXPECT_EQ(code_of(batch, {.produce_version = 7}), ErrorCode::kNone);
}

TEST(BatchValidation, an_unknown_codec_is_corrupt) {
  for (std::int16_t codec = 5; codec <= 7; ++codec) {
    EXPECT_EQ(code_of(with(batch_of(1), batch_layout::kAttributes, codec)),
              ErrorCode::kCorruptMessage);
  }
}

TEST(BatchValidation, the_base_offset_must_be_0) {
  EXPECT_EQ(code_of(batch_of(1, {.base_offset = Offset(1)})), ErrorCode::kInvalidRecord);
}

TEST(BatchValidation, the_leader_epoch_of_a_client_means_nothing) {
  for (const std::int32_t epoch : {-1, 0, 5}) {
    EXPECT_EQ(code_of(batch_of(1, {.partition_leader_epoch = epoch})), ErrorCode::kNone);
  }
}

TEST(BatchValidation, a_batch_has_a_largest_size) {
  const Buffer batch = batch_of(10);
  BatchValidationOptions limited = options();
  limited.max_message_bytes = batch.size();
  EXPECT_EQ(code_of(batch, limited), ErrorCode::kNone);
  limited.max_message_bytes = batch.size() - 1;
  EXPECT_EQ(code_of(batch, limited), ErrorCode::kMessageTooLarge);
  limited = options();
  limited.segment_bytes = batch.size() - 1;
  EXPECT_EQ(code_of(batch, limited), ErrorCode::kRecordListTooLarge);
}

TEST(BatchValidation, a_truncated_or_damaged_batch_is_corrupt) {
  const Buffer batch = batch_of(3);
  for (std::size_t length = 17; length < batch.size(); ++length) {
    EXPECT_EQ(code_of(ByteView(batch).first(length)), ErrorCode::kCorruptMessage) << length;
  }
  for (std::size_t index = batch_layout::kCrc; index < batch.size(); ++index) {
    Buffer damaged = batch;
    damaged[index] ^= std::byte{0x40};
    EXPECT_EQ(code_of(damaged), ErrorCode::kCorruptMessage) << index;
  }
  for (const std::int32_t length : {-1, 0, 48, std::numeric_limits<std::int32_t>::min()}) {
    EXPECT_EQ(code_of(with(batch, batch_layout::kBatchLength, length)), ErrorCode::kCorruptMessage);
  }
}

TEST(BatchValidation, count_and_last_offset_delta_must_agree) {
  EXPECT_EQ(code_of(with(batch_of(3), batch_layout::kLastOffsetDelta, std::int32_t{3})),
            ErrorCode::kInvalidRecord);
  EXPECT_EQ(code_of(with(batch_of(3), batch_layout::kLastOffsetDelta, std::int32_t{-1})),
            ErrorCode::kInvalidRecord);
  EXPECT_EQ(code_of(with(batch_of(3), batch_layout::kRecordsCount, std::int32_t{0})),
            ErrorCode::kInvalidRecord);
  EXPECT_EQ(code_of(with(batch_of(3), batch_layout::kRecordsCount, std::int32_t{-3})),
            ErrorCode::kInvalidRecord);
}

TEST(BatchValidation, the_records_inside_must_be_as_many_as_the_header_says) {
  // Header fields that agree with each other and lie about the records.
  for (const std::int32_t count : {2, 4, 1000000}) {
    Buffer batch = with(batch_of(3), batch_layout::kRecordsCount, count);
    batch = with(batch, batch_layout::kLastOffsetDelta, count - 1);
    EXPECT_EQ(code_of(batch), ErrorCode::kInvalidRecord) << count;
    BatchValidationOptions trusting = options();
    trusting.inner_records = InnerRecords::kTrust;
    EXPECT_EQ(code_of(batch, trusting), ErrorCode::kNone);
  }
}

TEST(BatchValidation, clients_may_not_write_control_batches) {
  EXPECT_EQ(code_of(batch_of(1, {.is_transactional = true, .is_control = true})),
            ErrorCode::kInvalidRecord);
}

TEST(BatchValidation, a_producer_id_needs_a_sequence) {
  EXPECT_EQ(code_of(batch_of(1, {.producer = {ProducerId(5), ProducerEpoch(0)}})),
            ErrorCode::kInvalidRecord);
}

TEST(BatchValidation, offset_deltas_must_count_up_from_0) {
  // The second record claims the delta of the third.
  Buffer batch = batch_of(3);
  const std::size_t record_bytes = (batch.size() - kBatchHeaderBytes) / 3;
  const std::size_t delta = kBatchHeaderBytes + record_bytes + 3;
  ASSERT_EQ(batch[delta], std::byte{2});
  batch = with(batch, delta, std::int8_t{4});
  const auto validated = validate_produced_batch(batch, options());
  ASSERT_FALSE(validated.has_value());
  EXPECT_EQ(validated.error().code, ErrorCode::kInvalidRecord);
  EXPECT_EQ(validated.error().record_index, 1);
}

TEST(BatchValidation, compressed_garbage_is_an_invalid_record) {
  for (std::int16_t codec = 1; codec <= 4; ++codec) {
    EXPECT_EQ(code_of(with(batch_of(2), batch_layout::kAttributes, codec)),
              ErrorCode::kInvalidRecord);
  }
}

TEST(BatchValidation, a_decompression_bomb_is_too_large) {
  RecordBatchBuilder builder;
  const Buffer zeros(10 << 20);
  builder.append({.value = zeros});
  const Buffer batch = builder.finish({.codec = CompressionCodec::kZstd});
  ASSERT_LT(batch.size(), 2000U + (10U << 20) / 100);
  BatchValidationOptions limited = options();
  limited.decompressed_bytes_max = 1 << 20;
  EXPECT_EQ(code_of(batch, limited), ErrorCode::kMessageTooLarge);
}

TEST(BatchValidation, a_compacted_topic_needs_keys) {
  RecordBatchBuilder builder;
  builder.append({.timestamp_ms = 1, .key = as_bytes("k")});
  builder.append({.timestamp_ms = 1, .value = as_bytes("v")});
  const Buffer batch = builder.finish({});
  EXPECT_EQ(code_of(batch), ErrorCode::kNone);
  BatchValidationOptions compacted = options();
  compacted.key_rule = KeyRule::kRequired;
  const auto validated = validate_produced_batch(batch, compacted);
  ASSERT_FALSE(validated.has_value());
  EXPECT_EQ(validated.error().code, ErrorCode::kInvalidRecord);
  EXPECT_EQ(validated.error().record_index, 1);
}

TEST(BatchValidation, timestamps_have_limits_where_the_producer_sets_them) {
  BatchValidationOptions limited = options();
  limited.timestamp_ms_min = 1001;
  EXPECT_EQ(code_of(batch_of(3), limited), ErrorCode::kInvalidTimestamp);
  limited.timestamp_ms_min = 1000;
  limited.timestamp_ms_max = 1002;
  EXPECT_EQ(code_of(batch_of(3), limited), ErrorCode::kNone);
  const auto validated = validate_produced_batch(batch_of(4), limited);
  EXPECT_EQ(validated.error().code, ErrorCode::kInvalidTimestamp);
  EXPECT_EQ(validated.error().record_index, 3);
  limited.timestamp_type = TimestampType::kLogAppendTime;
  EXPECT_EQ(code_of(batch_of(4), limited), ErrorCode::kNone);
}

TEST(BatchValidation, a_producer_may_not_claim_log_append_time) {
  EXPECT_EQ(code_of(batch_of(1, {.timestamp_type = TimestampType::kLogAppendTime})),
            ErrorCode::kInvalidTimestamp);
}

TEST(BatchValidation, the_true_max_timestamp_is_told) {
  const Buffer batch = with(batch_of(3), batch_layout::kMaxTimestamp, std::int64_t{5});
  const auto validated = validate_produced_batch(batch, options());
  ASSERT_TRUE(validated.has_value());
  EXPECT_EQ(validated->header.max_timestamp, 5);
  EXPECT_EQ(validated->max_timestamp, 1002);
}

TEST(BatchValidation, the_first_fault_in_kafkas_order_is_the_answer) {
  // A control batch with a wrong base offset, too large, and with a wrong checksum.
  Buffer batch = batch_of(3, {.base_offset = Offset(7), .is_control = true});
  batch[batch_layout::kCrc] ^= std::byte{1};
  BatchValidationOptions limited = options();
  limited.max_message_bytes = 10;
  EXPECT_EQ(code_of(batch, limited), ErrorCode::kInvalidRecord);
  rewrite_base_offset(batch, Offset(0));
  EXPECT_EQ(code_of(batch, limited), ErrorCode::kMessageTooLarge);
  EXPECT_EQ(code_of(batch), ErrorCode::kCorruptMessage);
}

}  // namespace
}  // namespace onceflow::protocol
