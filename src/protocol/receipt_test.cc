#include "protocol/receipt.h"

#include <gtest/gtest.h>

namespace onceflow::protocol {
namespace {

Receipt sample() {
  return Receipt{
      .pipeline = "paid-orders",
      .stage = "only-paid",
      .worker = "paid-orders-0",
      .commit_number = 7,
      .committed_at_ms = 1'700'000'000'000,
      .inputs = {{.source = {"orders", PartitionIndex(3)},
                  .from_offset = Offset(100),
                  .next_offset = Offset(120),
                  .record_count = 19,
                  .record_hash_sum = 0xfedcba9876543210}},
      .outputs = {{.name = "paid", .partition = PartitionIndex(3), .record_count = 2}},
      .rows = {{.input_index = 0, .source_offset = Offset(101), .row_hash = 1, .key_hash = 9},
               {.input_index = 0, .source_offset = Offset(119), .row_hash = 2, .is_delete = true}},
  };
}

TEST(Receipt, reads_back_what_was_written) {
  const Receipt receipt = sample();
  const auto decoded = decode_receipt(encode_receipt(receipt));
  ASSERT_TRUE(decoded.has_value()) << decoded.error().text;
  EXPECT_EQ(*decoded, receipt);
}

TEST(Receipt, many_rows_without_keys_read_back) {
  Receipt receipt = sample();
  receipt.rows.clear();
  for (std::int64_t offset = 100; offset < 120; ++offset) {
    receipt.rows.push_back({.source_offset = Offset(offset), .row_hash = 1});
  }
  const auto decoded = decode_receipt(encode_receipt(receipt));
  ASSERT_TRUE(decoded.has_value()) << decoded.error().text;
  EXPECT_EQ(*decoded, receipt);
}

TEST(Receipt, any_flipped_byte_is_noticed) {
  const Buffer bytes = encode_receipt(sample());
  for (std::size_t index = 0; index < bytes.size(); ++index) {
    Buffer damaged = bytes;
    damaged[index] ^= std::byte{0x10};
    EXPECT_FALSE(decode_receipt(damaged).has_value()) << "byte " << index;
  }
}

TEST(Receipt, any_cut_is_noticed) {
  const Buffer bytes = encode_receipt(sample());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(decode_receipt(ByteView(bytes).first(size)).has_value()) << size << " bytes";
  }
}

}  // namespace
}  // namespace onceflow::protocol
