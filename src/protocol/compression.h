// Compression of record batches: the four codecs of Kafka, each in its own file, the only places
// that include its library. Stateless functions, any thread.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace onceflow::protocol {

/// The lowest three bits of a batch's attributes; 5 to 7 are nobody's.
enum class CompressionCodec : std::int8_t {
  kNone = 0,
  kGzip = 1,
  kSnappy = 2,
  kLz4 = 3,
  kZstd = 4,
};

/// Kafka's name, as in compression.type; "unknown" for a number that is no codec.
std::string_view to_string(CompressionCodec codec);
/// kInvalidArgument for anything but none, gzip, snappy, lz4 and zstd.
Result<CompressionCodec> parse_compression_codec(std::string_view name);

/// Appends `input` compressed to `output`. Snappy is written in xerial's frames and lz4 with
/// independent blocks, since these are all that the Java client reads.
void compress(CompressionCodec codec, ByteView input, Buffer& output);

/// Replaces `output` by the decompressed `input`. At most `output_bytes_max` bytes are ever
/// produced or held: kRefused for more, so that a few bytes cannot fill the memory. kCorrupt for
/// input that is not whole or not of this codec, kUnsupported for an unknown codec; `output` is
/// then unspecified.
Status decompress(CompressionCodec codec, ByteView input, std::size_t output_bytes_max,
                  Buffer& output);

}  // namespace onceflow::protocol
