// The codecs behind compression.h, one function pair each; and the growing output they share.
#pragma once

#include <algorithm>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace onceflow::protocol::compression {

void compress_gzip(ByteView input, Buffer& output);
void compress_snappy(ByteView input, Buffer& output);
void compress_lz4(ByteView input, Buffer& output);
void compress_zstd(ByteView input, Buffer& output);

Status decompress_gzip(ByteView input, std::size_t output_bytes_max, Buffer& output);
Status decompress_snappy(ByteView input, std::size_t output_bytes_max, Buffer& output);
Status decompress_lz4(ByteView input, std::size_t output_bytes_max, Buffer& output);
Status decompress_zstd(ByteView input, std::size_t output_bytes_max, Buffer& output);

std::unexpected<Error> corrupt(std::string_view codec);
std::unexpected<Error> too_large(std::string_view codec, std::size_t output_bytes_max);

/// Output of unknown size: a buffer that doubles up to a limit, and how much of it is used.
class BoundedOutput {
 public:
  BoundedOutput(Buffer& buffer, std::size_t input_bytes, std::size_t bytes_max)
      : buffer_(buffer), bytes_max_(bytes_max) {
    // A guess of the usual ratio; wrong guesses cost a copy.
    constexpr std::size_t kFirstBytes = 16 * 1024;
    buffer_.clear();
    buffer_.resize(std::min(std::max(input_bytes * 4, kFirstBytes), bytes_max_));
  }

  MutableByteView free() { return MutableByteView(buffer_).subspan(used_); }
  void use(std::size_t bytes) { used_ += bytes; }
  bool full() const { return used_ == buffer_.size(); }
  /// False at the limit.
  bool grow() {
    if (buffer_.size() >= bytes_max_) {
      return false;
    }
    buffer_.resize(buffer_.size() > bytes_max_ / 2 ? bytes_max_ : buffer_.size() * 2);
    return true;
  }
  void finish() { buffer_.resize(used_); }

 private:
  Buffer& buffer_;
  std::size_t bytes_max_;
  std::size_t used_ = 0;
};

}  // namespace onceflow::protocol::compression
