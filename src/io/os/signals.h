// Signals: SIGTERM and SIGINT as a callback on the loop. One a process.
#pragma once

#include <memory>

#include "base/callback.h"
#include "io/os/event_loop.h"

namespace onceflow::io {

class Signals {
 public:
  /// Calls `on_stop` with the signal's number for each SIGTERM and SIGINT, from now on until this
  /// is destroyed. The signals then do what they did before.
  Signals(EventLoop& loop, Callback<void(int)> on_stop);
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

 private:
  class State;
  std::shared_ptr<State> state_;
};

}  // namespace onceflow::io
