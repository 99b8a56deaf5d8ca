#include "engine/input_account.h"

#include <gtest/gtest.h>

#include "base/record_hash.h"

namespace onceflow::engine {
namespace {

const TopicPartition kSource{"orders", PartitionIndex(2)};
const TopicPartition kOther{"orders", PartitionIndex(3)};

Chunk chunk_of(std::initializer_list<std::int64_t> offsets) {
  Chunk chunk;
  chunk.source = kSource;
  for (const std::int64_t offset : offsets) {
    chunk.records.push_back({.offset = Offset(offset), .value = as_bytes("v")});
  }
  return chunk;
}

InputAccount begun() {
  InputAccount account;
  const std::vector<InputAccount::Position> positions = {{kSource, Offset(10)},
                                                         {kOther, Offset(0)}};
  account.begin(positions);
  return account;
}

TEST(InputAccount, consecutive_commits_tile_the_partition_STG_1) {
  InputAccount account = begun();
  EXPECT_TRUE(account.is_empty());
  account.add(chunk_of({10, 12}));
  account.advance(kSource, Offset(15));
  ASSERT_EQ(account.inputs().size(), 1U);
  EXPECT_EQ(
      account.inputs()[0],
      (protocol::Receipt::Input{
          .source = kSource,
          .from_offset = Offset(10),
          .next_offset = Offset(15),
          .record_count = 2,
          .record_hash_sum = input_record_hash(PartitionIndex(2), Offset(10), {}, as_bytes("v")) +
                             input_record_hash(PartitionIndex(2), Offset(12), {}, as_bytes("v"))}));
  account.commit();
  EXPECT_TRUE(account.is_empty());
  account.advance(kSource, Offset(16));
  EXPECT_EQ(account.inputs()[0].from_offset, Offset(15));
  EXPECT_EQ(account.inputs()[0].record_count, 0);
}

// STG-1.
TEST(InputAccountDeathTest, a_record_below_the_position_stops_the_process) {
  InputAccount account = begun();
  account.add(chunk_of({10, 11}));
  EXPECT_DEATH(account.add(chunk_of({11})), "STG-1");
}

}  // namespace
}  // namespace onceflow::engine
