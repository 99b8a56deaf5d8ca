// zstd. The only file that includes zstd.h.
#include <zstd.h>

#include "base/check.h"
#include "protocol/compression_codecs.h"

namespace onceflow::protocol::compression {
namespace {

struct Decompressor {
  ZSTD_DCtx* stream = ZSTD_createDCtx();
  Decompressor() { CHECK(stream != nullptr); }
  ~Decompressor() { ZSTD_freeDCtx(stream); }
  Decompressor(const Decompressor&) = delete;
  Decompressor& operator=(const Decompressor&) = delete;
};

}  // namespace

void compress_zstd(ByteView input, Buffer& output) {
  const std::size_t position = output.size();
  output.resize(position + ZSTD_compressBound(input.size()));
  const std::size_t bytes = ZSTD_compress(output.data() + position, output.size() - position,
                                          input.data(), input.size(), ZSTD_CLEVEL_DEFAULT);
  CHECK(!ZSTD_isError(bytes));
  output.resize(position + bytes);
}

Status decompress_zstd(ByteView input, std::size_t output_bytes_max, Buffer& output) {
  Decompressor decompressor;
  BoundedOutput target(output, input.size(), output_bytes_max);
  ZSTD_inBuffer source{input.data(), input.size(), 0};
  for (;;) {
    const MutableByteView free = target.free();
    std::byte spare{};
    const bool at_limit = free.empty();
    ZSTD_outBuffer sink{at_limit ? &spare : free.data(), at_limit ? 1 : free.size(), 0};
    const std::size_t source_before = source.pos;
    const std::size_t expected = ZSTD_decompressStream(decompressor.stream, &sink, &source);
    if (ZSTD_isError(expected)) {
      return corrupt("zstd");
    }
    if (at_limit && sink.pos != 0) {
      return too_large("zstd", output_bytes_max);
    }
    target.use(sink.pos);
    if (expected == 0 && source.pos == source.size) {
      target.finish();
      return {};
    }
    if (target.full()) {
      target.grow();
    } else if (source.pos == source_before && sink.pos == 0) {
      return corrupt("zstd");
    }
    if (at_limit && source.pos == source_before) {
      return corrupt("zstd");
    }
  }
}

}  // namespace onceflow::protocol::compression
