#include "io/os/boot_id.h"

#include <charconv>
#include <fstream>
#include <string>

namespace onceflow::io {

std::uint64_t read_boot_id() {
  std::string text;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> text;
  std::erase(text, '-');
  constexpr std::size_t kDigits = 16;
  std::uint64_t id = 0;
  if (text.size() < kDigits ||
      std::from_chars(text.data(), text.data() + kDigits, id, 16).ec != std::errc()) {
    return 0;
  }
  return id;
}

}  // namespace onceflow::io
