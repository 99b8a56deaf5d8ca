// OsRandom: chance from the operating system, unpredictable to others. Not shared between threads.
#pragma once

#include <array>
#include <cstdint>

#include "io/random.h"

namespace onceflow::io {

class OsRandom final : public Random {
 public:
  std::uint64_t next() override;

 private:
  // Drawn from the system in pieces: a system call for each number would cost more than its use.
  std::array<std::uint64_t, 32> drawn_{};
  std::size_t left_ = 0;
};

}  // namespace onceflow::io
