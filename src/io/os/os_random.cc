#include "io/os/os_random.h"

#include <sys/random.h>

#include "base/check.h"

namespace onceflow::io {

std::uint64_t OsRandom::next() {
  if (left_ == 0) {
    // Up to 256 bytes come whole, and the pool is ready long before any process of ours starts.
    static_assert(sizeof drawn_ <= 256);
    CHECK(getrandom(drawn_.data(), sizeof drawn_, 0) == static_cast<ssize_t>(sizeof drawn_));
    left_ = drawn_.size();
  }
  return drawn_[--left_];
}

}  // namespace onceflow::io
