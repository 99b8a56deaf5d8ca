// ConsoleThread: the status port of a process, on a thread and a loop of its own: whoever looks
// takes no time of those who work. It asks them by what is posted to their loops, and answers from
// what it knows when they do not.
#pragma once

#include <functional>
#include <memory>

#include "app/status_port.h"
#include "base/result.h"
#include "console/status_server.h"
#include "io/os/loop_thread.h"
#include "io/scheduler.h"

namespace onceflow::app {

class ConsoleThread {
 public:
  /// `make_pages` runs on the console's thread, and the pages stay there. `on_open` is called on
  /// `owner`, once: with where it listens, or why it does not.
  ConsoleThread(const StatusPortOptions& options,
                std::function<std::shared_ptr<console::Pages>(io::Scheduler&)> make_pages,
                io::Scheduler& owner, std::function<void(Result<io::Endpoint>)> on_open);
  /// As stop().
  ~ConsoleThread();

  /// From any thread: runs the callback on the console's. Dropped once that has ended.
  void post(Callback<void()> callback) { thread_.post(std::move(callback)); }
  /// Ends it, and waits for that. Nothing is asked any more.
  void stop() { thread_.stop(); }

 private:
  io::LoopThread thread_;
};

}  // namespace onceflow::app
