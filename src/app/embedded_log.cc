#include "app/embedded_log.h"

#include <iostream>

#include "broker/broker.h"
#include "broker/server_properties.h"

namespace onceflow::app {
namespace {

// Lives on the log's own thread.
class Content {
 public:
  Content(io::OsEnvironment& os, const EmbeddedLogOptions& options, io::Scheduler& owner,
          std::function<void(const io::Endpoint&)> on_ready,
          std::function<void(const Error&)> on_failed)
      : owner_(owner), on_ready_(std::move(on_ready)), on_failed_(std::move(on_failed)) {
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
    applied->options.on_fatal = [this](const Error& error) { report(error); };
    applied->options.on_notice = [](const Error& error) {
      std::cerr << "onceflow run: " << error.text << '\n';
    };
    broker_ = std::make_unique<broker::Broker>(os.environment(), std::move(applied->options));
    os.loop().spawn(start());
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
  std::function<void(const io::Endpoint&)> on_ready_;
  std::function<void(const Error&)> on_failed_;
  std::unique_ptr<broker::Broker> broker_;
  bool started_ = false;
};

}  // namespace

EmbeddedLog::EmbeddedLog(EmbeddedLogOptions options, io::Scheduler& scheduler,
                         std::function<void(const io::Endpoint&)> on_ready,
                         std::function<void(const Error&)> on_failed)
    : thread_([options = std::move(options), &scheduler, on_ready = std::move(on_ready),
               on_failed = std::move(on_failed)](io::OsEnvironment& os,
                                                 io::LoopThread::AtStop& at_stop) {
        auto content = std::make_shared<Content>(os, options, scheduler, on_ready, on_failed);
        at_stop = [&os, &content = *content] {
          os.loop().spawn(content.stop([&os] { os.loop().stop(); }));
        };
        return content;
      }) {}

EmbeddedLog::~EmbeddedLog() { stop(); }

void EmbeddedLog::stop() { thread_.stop(); }

}  // namespace onceflow::app
