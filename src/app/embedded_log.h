// EmbeddedLog: the broker inside `onceflow run`, on a thread and a loop of its own. The worker
// beside it meets it over the network, as it would meet any other.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/log_event.h"
#include "base/result.h"
#include "broker/status_feed.h"
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
  /// failure may come at any time later, and means that the process must stop. `tell` is called on
  /// the log's thread.
  EmbeddedLog(EmbeddedLogOptions options, io::Scheduler& scheduler, TellEvent tell,
              std::function<void(const io::Endpoint&)> on_ready,
              std::function<void(const Error&)> on_failed);
  /// As stop().
  ~EmbeddedLog();

  /// From any thread: asks for what the broker tells of itself; `tell` is called on the log's
  /// thread, as Broker::tell_status says. Not at all once the log has ended.
  void ask_status(broker::TellStatus tell);

  /// Ends it in order, with a last checkpoint, and waits for that.
  void stop();

 private:
  class Content;
  /// Filled, used and emptied on the log's thread alone, by what is posted to it.
  struct Handle {
    Content* content = nullptr;
  };

  io::Scheduler& scheduler_;
  std::shared_ptr<Handle> handle_ = std::make_shared<Handle>();
  io::LoopThread thread_;
};

}  // namespace onceflow::app
