// ExitGuard: the process ends in time, whatever one of its threads waits for. For an end that was
// asked for: what is durable is durable, and a call that blocks must not keep the process.
#pragma once

#include <memory>

#include "base/time.h"

namespace onceflow::io {

/// Ends the process here and now, without destructors, after flushing the standard streams.
[[noreturn]] void end_process(int exit_code);

class ExitGuard {
 public:
  ExitGuard();
  /// As disarm().
  ~ExitGuard();
  ExitGuard(const ExitGuard&) = delete;
  ExitGuard& operator=(const ExitGuard&) = delete;

  /// From now on the process ends with this code when the time is over. Once armed it stays so.
  void arm(Duration time_left, int exit_code);
  void disarm();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace onceflow::io
