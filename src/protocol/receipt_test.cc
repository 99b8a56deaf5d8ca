#include "protocol/receipt.h"

#include <gtest/gtest.h>

#include "protocol/testing/hex.h"

namespace onceflow::protocol {
namespace {

Receipt sample() {
  return Receipt{
      .pipeline = "paid-orders",
      .stage = "only-paid",
      .worker = "paid-orders-0",
      .commit_number = 7,
      .committed_at_ms = 1'700'000'000'000,
      .definition = 0x0123456789abcdef,
      .inputs = {{.source = {"orders", PartitionIndex(3)},
                  .topic_id = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}},
                  .from_offset = Offset(100),
                  .next_offset = Offset(120),
                  .record_count = 19,
                  .record_hash_sum = 0xfedcba9876543210,
                  .beginning = Receipt::Beginning::kLatest}},
      .outputs = {{.name = "paid", .partition = PartitionIndex(3), .record_count = 2}},
      .rows = {{.input_index = 0, .source_offset = Offset(101), .row_hash = 1, .key_hash = 9},
               {.input_index = 0, .source_offset = Offset(119), .row_hash = 2, .is_delete = true}},
  };
}

// Of sample(), by a program that is not ours (the page in docs/formats, read by hand).
constexpr std::string_view kVersion2 =
    "024f43b34d0b706169642d6f7264657273096f6e6c792d706169640d706169642d6f72646572732d"
    "300e0000018bcfe568000123456789abcdef01066f72646572730102030405060708090a0b0c0d0e"
    "0f1000000003c801f00126fedcba9876543210020104706169640000000304000000000000000002"
    "02020000000000000001000000000000000901260000000000000002";
// As the programs before version 2 wrote it.
constexpr std::string_view kVersion1 =
    "01b147af7a0b706169642d6f7264657273096f6e6c792d706169640d706169642d6f72646572732d"
    "300e0000018bcfe5680001066f726465727300000003c801f00126fedcba98765432100104706169"
    "64000000030400000000000000000202020000000000000001000000000000000901260000000000"
    "000002";

TEST(Receipt, is_written_in_the_bytes_of_version_2) {
  EXPECT_EQ(testing::to_hex(encode_receipt(sample())), kVersion2);
}

TEST(Receipt, version_1_is_read_and_what_it_lacks_is_unknown) {
  const auto decoded = decode_receipt(testing::from_hex(kVersion1));
  ASSERT_TRUE(decoded.has_value()) << decoded.error().text;
  Receipt expected = sample();
  expected.definition = 0;
  expected.inputs[0].topic_id = {};
  expected.inputs[0].beginning = Receipt::Beginning::kNone;
  EXPECT_EQ(*decoded, expected);
}

TEST(Receipt, a_version_of_tomorrow_is_refused) {
  Buffer bytes = encode_receipt(sample());
  bytes[0] = std::byte{3};
  const auto decoded = decode_receipt(bytes);
  ASSERT_FALSE(decoded.has_value());
  EXPECT_TRUE(decoded.error().text.contains("reads versions 1 and 2")) << decoded.error().text;
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
