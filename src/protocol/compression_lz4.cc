// lz4 frames. The only file that includes lz4frame.h.
#include <lz4frame.h>

#include "base/check.h"
#include "protocol/compression_codecs.h"

namespace onceflow::protocol::compression {
namespace {

struct Decompressor {
  LZ4F_dctx* stream = nullptr;
  Decompressor() { CHECK(!LZ4F_isError(LZ4F_createDecompressionContext(&stream, LZ4F_VERSION))); }
  ~Decompressor() { LZ4F_freeDecompressionContext(stream); }
  Decompressor(const Decompressor&) = delete;
  Decompressor& operator=(const Decompressor&) = delete;
};

}  // namespace

void compress_lz4(ByteView input, Buffer& output) {
  LZ4F_preferences_t preferences{};
  // The Java client reads independent blocks only; 64 KiB is what it writes itself.
  preferences.frameInfo.blockMode = LZ4F_blockIndependent;
  preferences.frameInfo.blockSizeID = LZ4F_max64KB;
  const std::size_t position = output.size();
  output.resize(position + LZ4F_compressFrameBound(input.size(), &preferences));
  const std::size_t bytes = LZ4F_compressFrame(output.data() + position, output.size() - position,
                                               input.data(), input.size(), &preferences);
  CHECK(!LZ4F_isError(bytes));
  output.resize(position + bytes);
}

Status decompress_lz4(ByteView input, std::size_t output_bytes_max, Buffer& output) {
  Decompressor decompressor;
  BoundedOutput target(output, input.size(), output_bytes_max);
  for (;;) {
    const MutableByteView free = target.free();
    std::byte spare{};
    const bool at_limit = free.empty();
    std::size_t produced = at_limit ? 1 : free.size();
    std::size_t consumed = input.size();
    // 0 when a frame has just ended; another may follow it.
    const std::size_t expected =
        LZ4F_decompress(decompressor.stream, at_limit ? &spare : free.data(), &produced,
                        input.data(), &consumed, nullptr);
    if (LZ4F_isError(expected)) {
      return corrupt("lz4");
    }
    if (at_limit && produced != 0) {
      return too_large("lz4", output_bytes_max);
    }
    target.use(produced);
    input = input.subspan(consumed);
    if (expected == 0 && input.empty()) {
      target.finish();
      return {};
    }
    if (target.full()) {
      target.grow();
    } else if (consumed == 0 && produced == 0) {
      return corrupt("lz4");
    }
    if (at_limit && consumed == 0) {
      return corrupt("lz4");
    }
  }
}

}  // namespace onceflow::protocol::compression
