// snappy. The only file that includes snappy-c.h.
//
// Java clients wrap it in frames of snappy-java ("xerial"): 8 bytes magic, int32 version, int32
// oldest compatible version, then blocks of int32 size and a snappy run of up to 32 KiB of input.
// Others write one bare run. Both are read; frames are written, for they are all that Java reads.
#include <snappy-c.h>

#include <array>
#include <cstring>

#include "base/check.h"
#include "base/wire.h"
#include "protocol/compression_codecs.h"

namespace onceflow::protocol::compression {
namespace {

constexpr std::array<std::uint8_t, 8> kMagic = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};
constexpr std::size_t kFrameHeaderBytes = 16;
constexpr std::int32_t kFrameVersion = 1;
constexpr std::size_t kBlockBytes = 32 * 1024;

const char* as_chars(const std::byte* bytes) { return reinterpret_cast<const char*>(bytes); }
char* as_chars(std::byte* bytes) { return reinterpret_cast<char*>(bytes); }

bool starts_with_magic(ByteView bytes) {
  return bytes.size() >= kFrameHeaderBytes &&
         std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) == 0;
}

/// Appends one decompressed run.
Status append_run(ByteView run, std::size_t output_bytes_max, Buffer& output) {
  std::size_t bytes = 0;
  if (snappy_uncompressed_length(as_chars(run.data()), run.size(), &bytes) != SNAPPY_OK) {
    return corrupt("snappy");
  }
  if (bytes > output_bytes_max - output.size()) {
    return too_large("snappy", output_bytes_max);
  }
  // A run says its size before anything proves it; no snappy element makes more than 64 bytes of 3,
  // so a size beyond that ratio is a lie and nothing is allocated for it.
  constexpr std::size_t kRatioMax = 32;
  if (bytes / kRatioMax > run.size()) {
    return corrupt("snappy");
  }
  const std::size_t position = output.size();
  output.resize(position + bytes);
  if (snappy_uncompress(as_chars(run.data()), run.size(), as_chars(output.data() + position),
                        &bytes) != SNAPPY_OK) {
    return corrupt("snappy");
  }
  return {};
}

}  // namespace

void compress_snappy(ByteView input, Buffer& output) {
  WireWriter writer(output);
  append(output, std::as_bytes(std::span(kMagic)));
  writer.write_int32(kFrameVersion);
  writer.write_int32(kFrameVersion);
  for (std::size_t start = 0; start < input.size(); start += kBlockBytes) {
    const ByteView block = input.subspan(start, std::min(kBlockBytes, input.size() - start));
    const std::size_t size_position = writer.position();
    writer.write_int32(0);
    const std::size_t position = writer.position();
    std::size_t bytes = snappy_max_compressed_length(block.size());
    output.resize(position + bytes);
    CHECK(snappy_compress(as_chars(block.data()), block.size(), as_chars(output.data() + position),
                          &bytes) == SNAPPY_OK);
    output.resize(position + bytes);
    writer.patch_integer(size_position, static_cast<std::int32_t>(bytes));
  }
}

Status decompress_snappy(ByteView input, std::size_t output_bytes_max, Buffer& output) {
  output.clear();
  if (!starts_with_magic(input)) {
    return append_run(input, output_bytes_max, output);
  }
  while (!input.empty()) {
    // Frames may follow one another, each with its own header.
    if (starts_with_magic(input)) {
      input = input.subspan(kFrameHeaderBytes);
      continue;
    }
    WireReader reader(input);
    const std::uint32_t bytes = reader.read_uint32();
    if (!reader.ok() || bytes > reader.remaining()) {
      return corrupt("snappy");
    }
    RETURN_IF_ERROR(append_run(reader.read_bytes(bytes), output_bytes_max, output));
    input = input.subspan(reader.position());
  }
  return {};
}

}  // namespace onceflow::protocol::compression
