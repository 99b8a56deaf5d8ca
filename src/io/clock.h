// The clock, passed in. Only io/os and sim/ have one of their own.
#pragma once

#include "base/time.h"

namespace onceflow::io {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual MonotonicTime now() const = 0;
  virtual WallTime wall_now() const = 0;
};

}  // namespace onceflow::io
