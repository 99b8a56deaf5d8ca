// gzip through zlib. The only file that includes zlib.h.
#include <zlib.h>

#include <limits>

#include "base/check.h"
#include "protocol/compression_codecs.h"

namespace onceflow::protocol::compression {
namespace {

constexpr int kWindowBits = 15;
constexpr int kWriteGzip = 16;
// Some clients have written zlib's own header under the name of gzip; zlib tells them apart.
constexpr int kReadGzipOrZlib = 32;

Bytef* as_bytef(const std::byte* bytes) {
  return reinterpret_cast<Bytef*>(const_cast<std::byte*>(bytes));
}

struct Inflater {
  z_stream stream{};
  Inflater() { CHECK(inflateInit2(&stream, kWindowBits + kReadGzipOrZlib) == Z_OK); }
  ~Inflater() { inflateEnd(&stream); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
};

}  // namespace

void compress_gzip(ByteView input, Buffer& output) {
  CHECK(input.size() <= std::numeric_limits<uInt>::max());
  z_stream stream{};
  CHECK(deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kWindowBits + kWriteGzip,
                     MAX_MEM_LEVEL - 1, Z_DEFAULT_STRATEGY) == Z_OK);
  const std::size_t position = output.size();
  output.resize(position + deflateBound(&stream, input.size()));
  stream.next_in = as_bytef(input.data());
  stream.avail_in = static_cast<uInt>(input.size());
  stream.next_out = as_bytef(output.data() + position);
  stream.avail_out = static_cast<uInt>(output.size() - position);
  CHECK(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  output.resize(position + stream.total_out);
  deflateEnd(&stream);
}

Status decompress_gzip(ByteView input, std::size_t output_bytes_max, Buffer& output) {
  if (input.size() > std::numeric_limits<uInt>::max()) {
    return corrupt("gzip");
  }
  Inflater inflater;
  z_stream& stream = inflater.stream;
  BoundedOutput target(output, input.size(), output_bytes_max);
  stream.next_in = as_bytef(input.data());
  stream.avail_in = static_cast<uInt>(input.size());
  for (;;) {
    const MutableByteView free = target.free();
    // One spare byte of output tells "exactly the limit" from "more than the limit".
    std::byte spare{};
    const bool at_limit = free.empty();
    stream.next_out = at_limit ? as_bytef(&spare) : as_bytef(free.data());
    const uInt offered =
        at_limit ? 1 : static_cast<uInt>(std::min<std::size_t>(free.size(), 1U << 30));
    stream.avail_out = offered;
    const int code = inflate(&stream, Z_NO_FLUSH);
    const uInt produced = offered - stream.avail_out;
    if (at_limit && produced != 0) {
      return too_large("gzip", output_bytes_max);
    }
    target.use(produced);
    if (code == Z_STREAM_END) {
      if (stream.avail_in == 0) {
        target.finish();
        return {};
      }
      // Another member follows.
      CHECK(inflateReset(&stream) == Z_OK);
      continue;
    }
    if (code != Z_OK || (stream.avail_in == 0 && stream.avail_out != 0)) {
      return corrupt("gzip");
    }
    if (target.full()) {
      target.grow();
    }
  }
}

}  // namespace onceflow::protocol::compression
