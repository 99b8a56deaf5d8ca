// OsClock: the system's clock for threads that have no EventLoop. Stateless.
#pragma once

#include <chrono>

#include "io/clock.h"

namespace onceflow::io {

class OsClock final : public Clock {
 public:
  MonotonicTime now() const override {
    return MonotonicTime(std::chrono::steady_clock::now().time_since_epoch());
  }
  WallTime wall_now() const override {
    return {to_ms(std::chrono::system_clock::now().time_since_epoch())};
  }
};

}  // namespace onceflow::io
