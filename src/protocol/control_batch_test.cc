// Markers at the end of transactions.
#include "protocol/control_batch.h"

#include <gtest/gtest.h>

#include "protocol/record_batch_builder.h"
#include "protocol/testing/hex.h"

namespace onceflow::protocol {
namespace {

using testing::from_hex;
using testing::to_hex;

RecordBatchView parse(ByteView bytes) {
  const auto batch = RecordBatchView::parse(bytes);
  CHECK(batch.has_value());
  return *batch;
}

Buffer control_batch(std::string_view key_hex, std::string_view value_hex, bool is_control = true) {
  const Buffer key = from_hex(key_hex);
  const Buffer value = from_hex(value_hex);
  RecordBatchBuilder builder;
  builder.append({.timestamp_ms = 1, .key = key, .value = value});
  return builder.finish({.is_transactional = true, .is_control = is_control});
}

constexpr EndTransactionMarker kCommit{.type = ControlRecordType::kCommit,
                                       .producer = {ProducerId(4000), ProducerEpoch(3)},
                                       .coordinator_epoch = 9,
                                       .timestamp_ms = 0x0188};

TEST(ControlBatch, a_commit_marker_is_these_bytes) {
  const Buffer batch = encode_end_transaction_marker(kCommit, Offset(42), 1);
  EXPECT_EQ(to_hex(batch),
            "000000000000002a"  // base offset
            "00000042"          // batch length: 66
            "00000001"          // partition leader epoch
            "02"                // magic
                + to_hex(ByteView(batch).subspan(batch_layout::kCrc, 4)) +
                "0030"              // attributes: transactional, control
                "00000000"          // last offset delta
                "0000000000000188"  // base timestamp
                "0000000000000188"  // max timestamp
                "0000000000000fa0"  // producer id
                "0003"              // producer epoch
                "ffffffff"          // base sequence
                "00000001"          // records count
                "20"                // length 16
                "00"
                "00"
                "00"  // attributes, timestamp delta, offset delta
                "08"
                "0000"
                "0001"  // key: version 0, commit
                "0c"
                "0000"
                "00000009"  // value: version 0, coordinator epoch
                "00");      // no headers
  EXPECT_EQ(batch.size(), kEndTransactionMarkerBytes);
  EXPECT_TRUE(parse(batch).crc_matches());
}

TEST(ControlBatch, markers_parse_as_written) {
  for (const ControlRecordType type : {ControlRecordType::kAbort, ControlRecordType::kCommit}) {
    EndTransactionMarker marker = kCommit;
    marker.type = type;
    const Buffer bytes = encode_end_transaction_marker(marker, Offset(0), 0);
    const auto parsed = parse_end_transaction_marker(parse(bytes));
    ASSERT_TRUE(parsed.has_value());
    ASSERT_TRUE(parsed->has_value());
    EXPECT_EQ(**parsed, marker);
  }
}

TEST(ControlBatch, other_types_are_no_end_of_a_transaction) {
  const Buffer leader_change = control_batch("00000002", "0000");
  const auto parsed = parse_end_transaction_marker(parse(leader_change));
  ASSERT_TRUE(parsed.has_value());
  EXPECT_FALSE(parsed->has_value());
}

TEST(ControlBatch, what_does_not_parse_is_corrupt) {
  for (const Buffer& bytes :
       {control_batch("0000", "000000000009"), control_batch("00000001", "0000"),
        control_batch("ffff0001", "000000000009"), control_batch("00000001", "ffff00000009"),
        control_batch("00000001", "000000000009", false)}) {
    const auto parsed = parse_end_transaction_marker(parse(bytes));
    ASSERT_FALSE(parsed.has_value()) << to_hex(bytes);
    EXPECT_EQ(parsed.error().code, onceflow::ErrorCode::kCorrupt);
  }
}

}  // namespace
}  // namespace onceflow::protocol
