#include "client/partitioner.h"

#include <gtest/gtest.h>

namespace onceflow::client {
namespace {

TEST(Partitioner, hashes_as_the_java_client_does) {
  const auto hash = [](std::string_view text) {
    return static_cast<std::int32_t>(murmur2(as_bytes(text)));
  };
  EXPECT_EQ(hash("21"), -973932308);
  EXPECT_EQ(hash("foobar"), -790332482);
  EXPECT_EQ(hash("a-little-bit-long-string"), -985981536);
  EXPECT_EQ(hash("a-little-bit-longer-string"), -1486304829);
  EXPECT_EQ(hash("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8"), -58897971);
  EXPECT_EQ(hash("abc"), 479470107);
}

TEST(Partitioner, every_partition_is_in_range) {
  for (int index = 0; index < 1000; ++index) {
    const PartitionIndex partition = partition_of_key(as_bytes(std::to_string(index)), 7);
    EXPECT_GE(partition.value, 0);
    EXPECT_LT(partition.value, 7);
  }
}

}  // namespace
}  // namespace onceflow::client
