#include "app/embedded_log.h"

#include <optional>

#include "app/data_directory.h"
#include "app/open_files.h"
#include "app/status_of_broker.h"
#include "broker/broker.h"
#include "broker/server_properties.h"
#include "io/os/boot_id.h"
#include "io/os/os_blocking_thread.h"
#include "io/os/process.h"

namespace onceflow::app {
// Lives on the log's own thread.
class EmbeddedLog::Content {
 public:
  Content(io::OsEnvironment& os, const EmbeddedLogOptions& options, io::Scheduler& owner,
          TellEvent tell, std::function<void(const io::Endpoint&)> on_ready,
          std::function<void(const Error&)> on_failed)
      : owner_(owner),
        loop_(os.loop()),
        on_ready_(std::move(on_ready)),
        on_failed_(std::move(on_failed)) {
    broker::ServerProperties properties;
    properties.set("log.dirs", options.data_directory, "--data-dir");
    properties.set("listeners", "PLAINTEXT://127.0.0.1:" + std::to_string(options.port), "--port");
    // One pipeline's workers are its only members: nothing is gained by waiting for more.
    properties.set("group.initial.rebalance.delay.ms", "0", "the embedded log");
    auto applied = properties.apply();
    if (!applied) {
      report(applied.error());
      return;
    }
    const auto said = bound_open_files(applied->options, io::raise_open_file_limit());
    if (said) {
      tell({.level = LogLevel::kWarn, .stage = {}, .event = "embedded log", .text = *said});
    }
    applied->options.boot_id = io::read_boot_id();
    set_data_directory_mode(os.disk(), applied->options.log, tell);
    applied->options.on_fatal = [this](const Error& error) { report(error); };
    applied->options.on_notice = [tell = std::move(tell)](const Error& error) {
      tell({.level = LogLevel::kWarn, .stage = {}, .event = "embedded log", .text = error.text});
    };
    applied->options.server.return_free_memory = io::return_free_memory;
    broker_ = std::make_unique<broker::Broker>(os.environment(),
                                               std::make_unique<io::OsBlockingThread>(os.loop()),
                                               std::move(applied->options));
    os.loop().spawn(start());
  }

  void tell_status(broker::TellStatus tell) {
    if (broker_) {
      tell_broker_status(*broker_, loop_, std::move(tell));
    }
  }

  Task<void> stop(std::function<void()> stopped) {
    if (broker_ && started_) {
      if (const Status ended = co_await broker_->stop(); !ended) {
        report(ended.error());
      }
    }
    stopped();
  }

 private:
  Task<void> start() {
    const Status started = co_await broker_->start();
    if (!started) {
      report(started.error());
      co_return;
    }
    started_ = true;
    owner_.post_from_any_thread(
        [on_ready = on_ready_, endpoint = broker_->local()] { on_ready(endpoint); });
  }

  void report(const Error& error) {
    owner_.post_from_any_thread([on_failed = on_failed_, error] { on_failed(error); });
  }

  io::Scheduler& owner_;
  io::EventLoop& loop_;
  std::function<void(const io::Endpoint&)> on_ready_;
  std::function<void(const Error&)> on_failed_;
  std::unique_ptr<broker::Broker> broker_;
  bool started_ = false;
};

EmbeddedLog::EmbeddedLog(EmbeddedLogOptions options, io::Scheduler& scheduler, TellEvent tell,
                         std::function<void(const io::Endpoint&)> on_ready,
                         std::function<void(const Error&)> on_failed)
    : scheduler_(scheduler),
      thread_([options = std::move(options), &scheduler, tell = std::move(tell),
               on_ready = std::move(on_ready), on_failed = std::move(on_failed),
               handle = handle_](io::OsEnvironment& os, io::LoopThread::AtStop& at_stop) {
        auto content = std::make_shared<Content>(os, options, scheduler, tell, on_ready, on_failed);
        handle->content = content.get();
        at_stop = [&os, &content = *content] {
          os.loop().spawn(content.stop([&os] { os.loop().stop(); }));
        };
        return content;
      }) {}

EmbeddedLog::~EmbeddedLog() { stop(); }

void EmbeddedLog::ask_status(broker::TellStatus tell) {
  thread_.post([handle = handle_, tell = std::move(tell)]() mutable {
    handle->content->tell_status(std::move(tell));
  });
}

void EmbeddedLog::stop() { thread_.stop(); }

}  // namespace onceflow::app
