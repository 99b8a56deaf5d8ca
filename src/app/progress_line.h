// One line on standard output that is drawn over, where somebody looks at it.
#pragma once

#include <cstdint>
#include <string>

namespace onceflow::app {

class ProgressLine {
 public:
  explicit ProgressLine(bool is_shown) : is_shown_(is_shown) {}
  ~ProgressLine() { clear(); }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  void show(const std::string& text);
  /// A bar of what is done, and the text after it.
  void show(std::uint64_t done, std::uint64_t all, const std::string& text);
  void clear();

 private:
  bool is_shown_;
};

}  // namespace onceflow::app
