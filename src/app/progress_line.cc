#include "app/progress_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <iostream>

namespace onceflow::app {

namespace {
constexpr std::uint64_t kBarWidth = 24;
}  // namespace

void ProgressLine::show(const std::string& text) {
  if (is_shown_) {
    std::cout << "\r\x1b[K" << text << std::flush;
  }
}

void ProgressLine::show(std::uint64_t done, std::uint64_t all, const std::string& text) {
  const std::uint64_t width = all == 0 ? 0 : std::min(done, all) * kBarWidth / all;
  show(fmt::format("[{:<{}}] {}", std::string(width, '#'), kBarWidth, text));
}

void ProgressLine::clear() {
  if (is_shown_) {
    std::cout << "\r\x1b[K" << std::flush;
  }
}

}  // namespace onceflow::app
