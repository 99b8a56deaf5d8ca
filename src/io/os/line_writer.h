// LineWriter: lines to a standard stream that perhaps nobody reads. A thread writes them, so that a
// full pipe or a terminal that is held stops nobody else. While somebody reads, a line is out when
// write() returns: nothing is lost by a crash, and what others write there stands in its order.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/time.h"

namespace onceflow::io {

inline constexpr int kStandardOutput = 1;
inline constexpr int kStandardError = 2;

class LineWriter {
 public:
  /// The line that says how many lines could not be written.
  using LineOfLost = std::function<std::string(std::uint64_t lost_count)>;

  /// Several may write to one descriptor. Without `line_of_lost` nothing is said in their place.
  explicit LineWriter(int descriptor, LineOfLost line_of_lost = {});

  /// Any thread. Waits for some milliseconds at most, and no more while older lines wait. Where
  /// too many wait it is lost, and so are the next ones until those are out: then `line_of_lost`
  /// follows.
  void write(std::string line);

 private:
  friend void finish_lines();
  friend std::uint64_t lost_line_count();
  friend int first_line_error(int descriptor);

  struct State;
  struct All;
  std::shared_ptr<State> state_;  // as long as the process, for its thread may wait for ever
};

/// At the end of the process: waits until all that was written is out, for half a second at most.
void finish_lines();
/// Since the start of the process, of all writers.
std::uint64_t lost_line_count();
/// The number of the first error that writing to this descriptor has met; 0: none.
int first_line_error(int descriptor);

}  // namespace onceflow::io
