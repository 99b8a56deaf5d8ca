#include "base/record_hash.h"

#include <gtest/gtest.h>

namespace onceflow {
namespace {

constexpr PartitionIndex kPartition{1};

TEST(RecordHash, tells_null_from_empty_and_key_from_value) {
  const auto empty = as_bytes("");
  const auto text = as_bytes("a");
  const std::uint64_t hashes[] = {
      output_record_hash(kPartition, std::nullopt, std::nullopt),
      output_record_hash(kPartition, empty, std::nullopt),
      output_record_hash(kPartition, std::nullopt, empty),
      output_record_hash(kPartition, text, std::nullopt),
      output_record_hash(kPartition, std::nullopt, text),
  };
  for (std::size_t left = 0; left < std::size(hashes); ++left) {
    for (std::size_t right = left + 1; right < std::size(hashes); ++right) {
      EXPECT_NE(hashes[left], hashes[right]) << left << " " << right;
    }
  }
}

TEST(RecordHash, of_an_input_depends_on_its_place) {
  EXPECT_NE(input_record_hash(kPartition, Offset(1), std::nullopt, as_bytes("a")),
            input_record_hash(kPartition, Offset(2), std::nullopt, as_bytes("a")));
}

std::uint64_t row(const Value& first, const Value& second) {
  RowHash hash;
  hash.add("a", first);
  hash.add("b", second);
  return hash.finish();
}

// Computed from docs/formats/receipt.md by another implementation of XXH3; receipts stay readable.
TEST(RecordHash, does_not_change_between_versions) {
  EXPECT_EQ(input_record_hash(kPartition, Offset(42), as_bytes("key"), as_bytes("value")),
            6556893822416267924ULL);
  EXPECT_EQ(row(std::int64_t{7}, std::string_view("x")), 16824777399248856199ULL);
}

TEST(RecordHash, of_a_row_depends_on_order_and_kind) {
  EXPECT_NE(row(std::int64_t{1}, std::int64_t{2}), row(std::int64_t{2}, std::int64_t{1}));
  EXPECT_NE(row(std::int64_t{1}, std::monostate{}), row(1.0, std::monostate{}));
  EXPECT_NE(row(std::string_view(""), std::monostate{}), row(std::monostate{}, std::monostate{}));
  EXPECT_NE(row(Decimal{"1"}, std::monostate{}), row(std::string_view("1"), std::monostate{}));
  EXPECT_NE(row(Decimal{"1"}, std::monostate{}), row(Decimal{"2"}, std::monostate{}));
  EXPECT_EQ(row(0.0, std::monostate{}), row(-0.0, std::monostate{}));
}

}  // namespace
}  // namespace onceflow
