// The standard streams of this process: none of them is ever a file of ours, and what standard
// output did not take is known at the end.
#pragma once

#include <array>
#include <cstddef>
#include <streambuf>

#include "base/result.h"

namespace onceflow::io {

/// First in main: opens /dev/null in the place of each standard stream that is closed, which else
/// the next file or socket would take.
void open_closed_streams();
/// As the process was started.
bool is_input_closed();
bool is_output_closed();

/// What std::cout writes through. It keeps the first error, and takes nothing more after it.
class StandardOutput final : public std::streambuf {
 public:
  StandardOutput();
  StandardOutput(const StandardOutput&) = delete;
  StandardOutput& operator=(const StandardOutput&) = delete;

  /// That of the process; never destroyed, for std::cout flushes last.
  static StandardOutput& instance();

  int first_error() const { return first_error_; }

 protected:
  int_type overflow(int_type character) override;
  int sync() override;

 private:
  static constexpr std::size_t kBufferBytes = 16 * 1024;

  std::array<char, kBufferBytes> buffer_{};
  int first_error_ = 0;
};

/// Whether all that was given to standard output, by StandardOutput and by lines, is written.
Status standard_output_status();

}  // namespace onceflow::io
