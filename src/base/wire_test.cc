#include "base/wire.h"

#include <gtest/gtest.h>

#include <array>
#include <limits>

namespace onceflow {
namespace {

TEST(Wire, integers_are_big_endian) {
  Buffer bytes;
  WireWriter writer(bytes);
  writer.write_int16(0x0102);
  writer.write_int32(-2);
  const std::array<unsigned, 6> expected{1, 2, 0xff, 0xff, 0xff, 0xfe};
  ASSERT_EQ(bytes.size(), expected.size());
  for (std::size_t index = 0; index < expected.size(); ++index) {
    EXPECT_EQ(std::to_integer<unsigned>(bytes[index]), expected[index]);
  }
}

TEST(Wire, varints_of_every_size_read_back) {
  for (unsigned bits = 0; bits < 64; ++bits) {
    for (const std::int64_t number : {static_cast<std::int64_t>(std::uint64_t{1} << bits),
                                      static_cast<std::int64_t>((std::uint64_t{1} << bits) - 1),
                                      static_cast<std::int64_t>(0 - (std::uint64_t{1} << bits))}) {
      Buffer bytes;
      WireWriter writer(bytes);
      writer.write_varlong(number);
      EXPECT_EQ(bytes.size(), wire::varint_bytes(number));
      WireReader reader(bytes);
      EXPECT_EQ(reader.read_varlong(), number);
      EXPECT_TRUE(reader.ok());
    }
  }
}

TEST(Wire, a_varint_that_never_ends_is_a_failure) {
  const Buffer bytes(11, std::byte{0xff});
  WireReader reader(bytes);
  reader.read_unsigned_varint();
  EXPECT_FALSE(reader.ok());
}

TEST(Wire, a_varint_outside_32_bits_is_a_failure) {
  Buffer bytes;
  WireWriter(bytes).write_varlong(std::int64_t{std::numeric_limits<std::int32_t>::max()} + 1);
  WireReader reader(bytes);
  EXPECT_EQ(reader.read_varint(), 0);
  EXPECT_FALSE(reader.ok());
}

TEST(Wire, a_reader_that_failed_stays_failed_and_yields_zeros) {
  const Buffer bytes(3, std::byte{1});
  WireReader reader(bytes);
  EXPECT_EQ(reader.read_int32(), 0);
  EXPECT_EQ(reader.read_int8(), 0);
  EXPECT_FALSE(reader.ok());
  EXPECT_EQ(reader.remaining(), 0U);
}

TEST(Wire, a_length_beyond_the_end_is_a_failure_and_no_allocation) {
  Buffer bytes;
  WireWriter(bytes).write_unsigned_varint(std::numeric_limits<std::uint64_t>::max());
  WireReader reader(bytes);
  EXPECT_TRUE(reader.read_sized_bytes().empty());
  EXPECT_FALSE(reader.ok());
}

}  // namespace
}  // namespace onceflow
