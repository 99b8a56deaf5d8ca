// EmbeddedLog: the broker inside `onceflow run`, on a thread and a loop of its own. The worker
// beside it meets it over the network, as it would meet any other.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "io/network.h"
#include "io/os/loop_thread.h"

namespace onceflow::app {

struct EmbeddedLogOptions {
  std::string data_directory = "./onceflow-data";
  std::uint16_t port = 9092;
};

class EmbeddedLog {
 public:
  /// `on_ready` and `on_failed` are called on `scheduler`, at most one of them before the other; a
  /// failure may come at any time later, and means that the process must stop.
  EmbeddedLog(EmbeddedLogOptions options, io::Scheduler& scheduler,
              std::function<void(const io::Endpoint&)> on_ready,
              std::function<void(const Error&)> on_failed);
  /// As stop().
  ~EmbeddedLog();

  /// Ends it in order, with a last checkpoint, and waits for that.
  void stop();

 private:
  io::LoopThread thread_;
};

}  // namespace onceflow::app
