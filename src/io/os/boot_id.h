// The boot id: names the life of this machine, and with it the count of its monotonic clock. Times
// of that clock from two processes compare if they have the same one. Stateless.
#pragma once

#include <cstdint>

namespace onceflow::io {

/// Linux's boot id, shortened; 0 if it cannot be read.
std::uint64_t read_boot_id();

}  // namespace onceflow::io
