// The four codecs: round trips, limits, damage, and frames of both kinds of snappy.
#include "protocol/compression.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "protocol/testing/hex.h"
#include "protocol/testing/random_message.h"

namespace onceflow::protocol {
namespace {

using testing::from_hex;
using testing::RandomMessages;
using testing::to_hex;

constexpr std::array kCodecs = {CompressionCodec::kNone, CompressionCodec::kGzip,
                                CompressionCodec::kSnappy, CompressionCodec::kLz4,
                                CompressionCodec::kZstd};
constexpr std::array kCompressing = {CompressionCodec::kGzip, CompressionCodec::kSnappy,
                                     CompressionCodec::kLz4, CompressionCodec::kZstd};

Buffer compressed(CompressionCodec codec, ByteView input) {
  Buffer output;
  compress(codec, input, output);
  return output;
}

Buffer repetitive(std::size_t bytes) {
  Buffer result(bytes);
  for (std::size_t index = 0; index < bytes; ++index) {
    result[index] = static_cast<std::byte>("onceflow "[index % 9]);
  }
  return result;
}

TEST(Compression, gives_back_what_went_in) {
  RandomMessages random(3);
  for (const CompressionCodec codec : kCodecs) {
    for (const std::size_t bytes : {0U, 1U, 100U, 32768U, 32769U, 65536U, 1000000U}) {
      for (const Buffer& input : {random.bytes(bytes), repetitive(bytes)}) {
        const Buffer packed = compressed(codec, input);
        Buffer output = to_buffer("what was there before");
        // The limit is exact.
        const Status status = decompress(codec, packed, bytes, output);
        ASSERT_TRUE(status.has_value())
            << to_string(codec) << " " << bytes << " " << status.error().text;
        EXPECT_TRUE(equal(output, input)) << to_string(codec) << " " << bytes;
      }
    }
  }
}

TEST(Compression, appends_to_what_is_there) {
  for (const CompressionCodec codec : kCodecs) {
    Buffer output = to_buffer("header");
    compress(codec, as_bytes("records"), output);
    EXPECT_EQ(as_text(ByteView(output).first(6)), "header");
    Buffer records;
    ASSERT_TRUE(decompress(codec, ByteView(output).subspan(6), 100, records).has_value());
    EXPECT_EQ(as_text(records), "records");
  }
}

TEST(Compression, refuses_to_produce_more_than_the_limit) {
  const Buffer input = repetitive(3 << 20);
  for (const CompressionCodec codec : kCodecs) {
    const Buffer packed = compressed(codec, input);
    for (const std::size_t limit : {std::size_t{0}, std::size_t{1}, std::size_t{20000},
                                    std::size_t{1} << 20, input.size() - 1}) {
      Buffer output;
      const Status status = decompress(codec, packed, limit, output);
      ASSERT_FALSE(status.has_value()) << to_string(codec) << " " << limit;
      EXPECT_EQ(status.error().code, onceflow::ErrorCode::kRefused);
      EXPECT_LE(output.capacity(), std::max<std::size_t>(2 * limit, 64));
    }
  }
}

TEST(Compression, every_truncation_is_an_error) {
  RandomMessages random(9);
  Buffer input = repetitive(3000);
  append(input, random.bytes(500));
  for (const CompressionCodec codec : kCompressing) {
    const Buffer packed = compressed(codec, input);
    for (std::size_t length = 0; length < packed.size(); ++length) {
      const Buffer cut(packed.begin(), packed.begin() + static_cast<std::ptrdiff_t>(length));
      Buffer output;
      const Status status = decompress(codec, cut, 1 << 20, output);
      // Frames of snappy may end after any block: 16 bytes of header are a whole, empty stream.
      if (codec == CompressionCodec::kSnappy && length == 16) {
        continue;
      }
      EXPECT_FALSE(status.has_value()) << to_string(codec) << " " << length;
    }
  }
}

TEST(Compression, damage_is_an_error_or_bytes_within_the_limit) {
  RandomMessages random(21);
  const Buffer input = repetitive(5000);
  for (const CompressionCodec codec : kCompressing) {
    const Buffer packed = compressed(codec, input);
    for (int round = 0; round < 2000; ++round) {
      Buffer damaged = packed;
      damaged[random.below(damaged.size())] ^= static_cast<std::byte>(1 << random.below(8));
      Buffer output;
      if (decompress(codec, damaged, 10000, output)) {
        EXPECT_LE(output.size(), 10000U);
      }
    }
  }
}

TEST(Compression, garbage_is_an_error) {
  RandomMessages random(23);
  for (const CompressionCodec codec :
       {CompressionCodec::kGzip, CompressionCodec::kLz4, CompressionCodec::kZstd}) {
    for (int round = 0; round < 200; ++round) {
      Buffer output;
      EXPECT_FALSE(decompress(codec, random.bytes(random.below(200)), 1000, output).has_value());
    }
  }
}

TEST(Compression, an_unknown_codec_is_unsupported) {
  Buffer output;
  for (int codec = 5; codec < 8; ++codec) {
    const Status status = decompress(static_cast<CompressionCodec>(codec), {}, 10, output);
    EXPECT_EQ(status.error().code, onceflow::ErrorCode::kUnsupported);
  }
}

TEST(Compression, snappy_is_read_bare_and_in_frames) {
  // "abc" as one literal: length 3, tag (3 - 1) << 2.
  const std::string run = "03 08 616263";
  const std::string magic = "82 534e41505059 00 00000001 00000001";
  Buffer output;
  ASSERT_TRUE(decompress(CompressionCodec::kSnappy, from_hex(run), 10, output).has_value());
  EXPECT_EQ(as_text(output), "abc");
  const std::string block = "00000005" + run;
  ASSERT_TRUE(decompress(CompressionCodec::kSnappy, from_hex(magic + block + block), 10, output)
                  .has_value());
  EXPECT_EQ(as_text(output), "abcabc");
  // Two streams, one after the other.
  ASSERT_TRUE(
      decompress(CompressionCodec::kSnappy, from_hex(magic + block + magic + block), 10, output)
          .has_value());
  EXPECT_EQ(as_text(output), "abcabc");
  EXPECT_EQ(to_hex(compressed(CompressionCodec::kSnappy, as_bytes("abc"))),
            to_hex(from_hex(magic + block)));
}

TEST(Compression, a_snappy_run_that_claims_gigabytes_is_not_believed) {
  Buffer output;
  const Status status = decompress(CompressionCodec::kSnappy, from_hex("ffffffff07 08 616263"),
                                   std::size_t{1} << 40, output);
  EXPECT_EQ(status.error().code, onceflow::ErrorCode::kCorrupt);
  EXPECT_LT(output.capacity(), 1000U);
}

TEST(Compression, several_gzip_members_are_one_stream) {
  Buffer packed = compressed(CompressionCodec::kGzip, as_bytes("one "));
  append(packed, compressed(CompressionCodec::kGzip, as_bytes("two")));
  Buffer output;
  ASSERT_TRUE(decompress(CompressionCodec::kGzip, packed, 7, output).has_value());
  EXPECT_EQ(as_text(output), "one two");
}

TEST(Compression, names_are_kafkas) {
  for (const CompressionCodec codec : kCodecs) {
    EXPECT_EQ(parse_compression_codec(to_string(codec)), codec);
  }
  EXPECT_EQ(to_string(static_cast<CompressionCodec>(7)), "unknown");
  EXPECT_EQ(parse_compression_codec("brotli").error().code, onceflow::ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace onceflow::protocol
