#include "base/crc32c.h"

#include <gtest/gtest.h>

namespace onceflow {
namespace {

// RFC 3720, appendix B.4.
TEST(Crc32c, agrees_with_the_published_vectors) {
  EXPECT_EQ(crc32c(Buffer(32, std::byte{0x00})), 0x8a9136aaU);
  EXPECT_EQ(crc32c(Buffer(32, std::byte{0xff})), 0x62a8ab43U);
  EXPECT_EQ(crc32c(as_bytes("123456789")), 0xe3069283U);
}

TEST(Crc32c, of_two_parts_is_that_of_the_whole) {
  EXPECT_EQ(crc32c(as_bytes("6789"), crc32c(as_bytes("12345"))), crc32c(as_bytes("123456789")));
}

}  // namespace
}  // namespace onceflow
