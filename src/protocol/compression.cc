// Chooses the codec.
#include "protocol/compression.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "base/check.h"
#include "protocol/compression_codecs.h"

namespace onceflow::protocol {
namespace {

constexpr std::array<std::pair<CompressionCodec, std::string_view>, 5> kNames = {{
    {CompressionCodec::kNone, "none"},
    {CompressionCodec::kGzip, "gzip"},
    {CompressionCodec::kSnappy, "snappy"},
    {CompressionCodec::kLz4, "lz4"},
    {CompressionCodec::kZstd, "zstd"},
}};

}  // namespace

namespace compression {

std::unexpected<Error> corrupt(std::string_view codec) {
  return fail(onceflow::ErrorCode::kCorrupt,
              fmt::format("the compressed bytes are damaged, cut off, or not {}", codec));
}

std::unexpected<Error> too_large(std::string_view codec, std::size_t output_bytes_max) {
  return fail(onceflow::ErrorCode::kRefused,
              fmt::format("{} data is larger than the limit of {} bytes when decompressed", codec,
                          output_bytes_max));
}

}  // namespace compression

std::string_view to_string(CompressionCodec codec) {
  for (const auto& [known, name] : kNames) {
    if (known == codec) {
      return name;
    }
  }
  return "unknown";
}

Result<CompressionCodec> parse_compression_codec(std::string_view name) {
  for (const auto& [codec, known] : kNames) {
    if (known == name) {
      return codec;
    }
  }
  return fail(onceflow::ErrorCode::kInvalidArgument,
              fmt::format("'{}' is no compression; use none, gzip, snappy, lz4 or zstd", name));
}

void compress(CompressionCodec codec, ByteView input, Buffer& output) {
  switch (codec) {
    case CompressionCodec::kNone:
      append(output, input);
      return;
    case CompressionCodec::kGzip:
      return compression::compress_gzip(input, output);
    case CompressionCodec::kSnappy:
      return compression::compress_snappy(input, output);
    case CompressionCodec::kLz4:
      return compression::compress_lz4(input, output);
    case CompressionCodec::kZstd:
      return compression::compress_zstd(input, output);
  }
  CHECK(!"a codec that the caller made up");
}

Status decompress(CompressionCodec codec, ByteView input, std::size_t output_bytes_max,
                  Buffer& output) {
  switch (codec) {
    case CompressionCodec::kNone:
      if (input.size() > output_bytes_max) {
        return compression::too_large("uncompressed", output_bytes_max);
      }
      output.assign(input.begin(), input.end());
      return {};
    case CompressionCodec::kGzip:
      return compression::decompress_gzip(input, output_bytes_max, output);
    case CompressionCodec::kSnappy:
      return compression::decompress_snappy(input, output_bytes_max, output);
    case CompressionCodec::kLz4:
      return compression::decompress_lz4(input, output_bytes_max, output);
    case CompressionCodec::kZstd:
      return compression::decompress_zstd(input, output_bytes_max, output);
  }
  return fail(onceflow::ErrorCode::kUnsupported,
              fmt::format("{} is no compression codec", static_cast<int>(codec)));
}

}  // namespace onceflow::protocol
