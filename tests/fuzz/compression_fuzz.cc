// Fuzzes the decompressors with a limit, and every codec's round trip. The first byte chooses the
// codec, the second the limit.
#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "base/check.h"
#include "protocol/compression.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace onceflow;
  using namespace onceflow::protocol;
  if (size < 2) {
    return 0;
  }
  const auto codec = static_cast<CompressionCodec>(data[0] % 8);
  const std::size_t limit = std::size_t{1} << (data[1] % 21);
  const ByteView input = std::as_bytes(std::span(data + 2, size - 2));
  Buffer output;
  if (decompress(codec, input, limit, output)) {
    CHECK(output.size() <= limit);
  }
  CHECK(output.capacity() <= 2 * limit + 64);
  if (static_cast<int>(codec) <= static_cast<int>(CompressionCodec::kZstd)) {
    Buffer packed;
    compress(codec, input, packed);
    CHECK(decompress(codec, packed, input.size(), output).has_value());
    CHECK(equal(output, input));
  }
  return 0;
}
