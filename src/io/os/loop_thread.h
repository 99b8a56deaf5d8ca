// LoopThread: a thread with a loop and an environment of its own, for a part of the program that
// shares nothing with the others (the embedded broker beside a worker: they meet over the network).
#pragma once

#include <memory>

#include "base/callback.h"
#include "io/os/os_environment.h"

namespace onceflow::io {

class LoopThread {
 public:
  /// What stop() runs on the loop; it ends the loop, now or later. Without one stop() does so at
  /// once.
  using AtStop = Callback<void()>;
  /// Starts the thread; `main` runs on it first, then its loop until stop(). What `main` returns
  /// lives until the loop has ended and is destroyed on that thread, after its tasks.
  using Main = Callback<std::shared_ptr<void>(OsEnvironment&, AtStop&)>;
  explicit LoopThread(Main main);
  /// stop() and join.
  ~LoopThread();
  LoopThread(const LoopThread&) = delete;
  LoopThread& operator=(const LoopThread&) = delete;

  /// From any thread: runs the callback on the loop of this one. Dropped if the loop has ended.
  void post(Callback<void()> callback);
  /// From any thread but this one. Waits until the loop has ended.
  void stop();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace onceflow::io
