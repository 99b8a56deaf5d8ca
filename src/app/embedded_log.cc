#include "app/embedded_log.h"

#include <optional>

#include "app/status_of_broker.h"
#include "broker/broker.h"
#include "broker/server_properties.h"
#include "io/event.h"
#include "io/os/boot_id.h"

namespace onceflow::app {
namespace {

constexpr Duration kStatusTimeout = seconds(2);

}  // namespace

// Lives on the log's own thread.
class EmbeddedLog::Content {
 public:
  Content(io::OsEnvironment& os, const EmbeddedLogOptions& options, io::Scheduler& owner,
          TellEvent tell, std::function<void(const io::Endpoint&)> on_ready,
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
    applied->options.boot_id = io::read_boot_id();
    applied->options.on_fatal = [this](const Error& error) { report(error); };
    applied->options.on_notice = [tell = std::move(tell)](const Error& error) {
      tell({.level = LogLevel::kWarn, .stage = {}, .event = "embedded log", .text = error.text});
    };
    broker_ = std::make_unique<broker::Broker>(os.environment(), std::move(applied->options));
    status_page_.emplace(*broker_, os.loop());
    os.loop().spawn(start());
  }

  console::StatusPage read_status() {
    return started_ ? status_page_->read_part()
                    : console::StatusPage{{}, R"({"reason": "it has not started yet"})"};
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
  std::optional<BrokerStatusPage> status_page_;
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

Task<console::StatusPage> EmbeddedLog::read_status() {
  // Shared with what is posted: the answer may come when nobody waits for it any more.
  const auto answer = std::make_shared<io::Future<console::StatusPage>>(scheduler_);
  thread_.post([handle = handle_, &owner = scheduler_, answer] {
    owner.post_from_any_thread([answer, page = handle->content->read_status()]() mutable {
      answer->set(std::move(page));
    });
  });
  if (!co_await answer->wait_until(scheduler_.now() + kStatusTimeout)) {
    co_return console::StatusPage{{}, R"({"reason": "the embedded log does not answer"})"};
  }
  co_return std::move(answer->value());
}

void EmbeddedLog::stop() { thread_.stop(); }

}  // namespace onceflow::app
