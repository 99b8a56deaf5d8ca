// onceflow broker: the embedded log alone, with Kafka's server.properties and its options.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/commands.h"
#include "app/console_thread.h"
#include "app/data_directory.h"
#include "app/open_files.h"
#include "app/pages.h"
#include "app/parse_arguments.h"
#include "app/process_log.h"
#include "app/status_port.h"
#include "broker/broker.h"
#include "broker/server_properties.h"
#include "io/os/boot_id.h"
#include "io/os/os_blocking_thread.h"
#include "io/os/os_environment.h"
#include "io/os/process.h"
#include "io/os/signals.h"

namespace onceflow::app {
namespace {

struct BrokerArguments {
  std::string properties_file;
  std::vector<std::string> overrides;
  std::string data_directory;
  std::optional<std::uint16_t> port;
  StatusPortOptions status;
  LogFormat log_format = LogFormat::kText;
  bool is_insecure = false;  ///< --insecure: beyond this machine without authentication
};

void print_problem(const std::string& text) {
  std::fprintf(stderr, "onceflow broker: %s\n", text.c_str());
}

Result<broker::ServerProperties::Applied> read_configuration(const BrokerArguments& arguments,
                                                             io::Disk& disk) {
  broker::ServerProperties properties;
  if (!arguments.properties_file.empty()) {
    const auto bytes = io::read_file(disk, arguments.properties_file);
    RETURN_IF_ERROR(bytes);
    properties.add_file(as_text(*bytes), arguments.properties_file);
  }
  for (const std::string& text : arguments.overrides) {
    RETURN_IF_ERROR(properties.add_override(text));
  }
  if (!arguments.data_directory.empty()) {
    properties.set("log.dirs", arguments.data_directory, "--data-dir");
  }
  auto applied = properties.apply();
  if (applied && arguments.port) {
    applied->options.server.listen.port = *arguments.port;
  }
  return applied;
}

// One broker's life on one loop.
class BrokerProcess {
 public:
  BrokerProcess(broker::BrokerOptions options, const BrokerArguments& arguments)
      : status_(arguments.status),
        tell_(log_to_stderr("broker", arguments.log_format)),
        directory_(options.log.directory),
        is_durable_(options.log.flush == log::FlushMode::kDurable),
        node_id_(options.node_id) {
    options.boot_id = io::read_boot_id();
    set_data_directory_mode(os_.disk(), options.log, tell_);
    options.on_fatal = [this](const Error& error) { stop_at_once(error); };
    options.on_notice = [this](const Error& error) { tell(LogLevel::kWarn, "notice", error.text); };
    options.server.return_free_memory = io::return_free_memory;
    broker_ = std::make_unique<broker::Broker>(
        os_.environment(), std::make_unique<io::OsBlockingThread>(os_.loop()), std::move(options));
  }
  ~BrokerProcess() {
    if (console_) {
      console_->stop();
    }
    // The loop goes first: it holds callbacks into the broker.
    os_.shut_down();
  }

  int run() {
    const io::Signals signals(os_.loop(), [this](int) { stop(); });
    tell(LogLevel::kInfo, "starting", "data " + directory_ + "; it recovers what is there");
    // Posted, for a stop that comes before run() would be forgotten by it.
    os_.loop().post([this] {
      if (status_.port) {
        open_status();
      } else {
        os_.loop().spawn(start());
      }
    });
    os_.loop().run();
    tell(LogLevel::kInfo, "stopped", fmt::format("exit code {}", exit_code_));
    return exit_code_;
  }

 private:
  void tell(LogLevel level, std::string event, std::string text) {
    tell_({.level = level, .stage = {}, .event = std::move(event), .text = std::move(text)});
  }

  Task<void> start() {
    const MonotonicTime began = os_.loop().now();
    const Status started = co_await broker_->start();
    if (!started) {
      stop_at_once(started.error());
      co_return;
    }
    set_phase(BrokerPages::Phase::kReady);  // who reads the line may look at once
    print_line(fmt::format("onceflow broker ready on {} (node {}, data {}, durability {})",
                           io::to_string(broker_->local()), node_id_, directory_,
                           is_durable_ ? "sync" : "os"));
    tell(LogLevel::kInfo, "ready",
         fmt::format("on {}, recovered in {:.3f} s", io::to_string(broker_->local()),
                     std::chrono::duration<double>(os_.loop().now() - began).count()));
    if (console_) {
      print_status_port(status_endpoint_);
    }
  }

  // Then starts: what can be seen of it can be seen from the beginning.
  void open_status() {
    console_.emplace(
        status_,
        [this](io::Scheduler& scheduler) {
          auto pages = std::make_shared<BrokerPages>(
              scheduler, [this](broker::TellStatus tell) { ask_status(std::move(tell)); });
          pages_->value = pages.get();
          return pages;
        },
        os_.loop(),
        [this](Result<io::Endpoint> opened) {
          if (!opened) {
            stop_at_once(opened.error());
            return;
          }
          status_endpoint_ = *opened;
          if (!stopping_) {
            os_.loop().spawn(start());
          }
        });
  }

  // On the console's thread.
  void ask_status(broker::TellStatus tell) {
    os_.loop().post_from_any_thread([this, tell = std::move(tell)] {
      tell_broker_status(*broker_, os_.loop(), [this, tell](broker::StatusNews news) {
        console_->post([tell, news = std::move(news)]() mutable { tell(std::move(news)); });
      });
    });
  }

  void set_phase(BrokerPages::Phase phase) {
    if (console_) {
      console_->post([pages = pages_, phase] { pages->value->set_phase(phase); });
    }
  }

  // The first signal ends in order; a second one ends at once, which loses nothing acknowledged.
  void stop() {
    if (std::exchange(stopping_, true)) {
      os_.loop().stop();
      return;
    }
    tell(LogLevel::kInfo, "stopping", "with a last checkpoint");
    set_phase(BrokerPages::Phase::kStopping);
    os_.loop().spawn(stop_in_order());
  }

  Task<void> stop_in_order() {
    if (const Status stopped = co_await broker_->stop(); !stopped) {
      stop_at_once(stopped.error());
      co_return;
    }
    os_.loop().stop();
  }

  void stop_at_once(const Error& error) {
    tell(LogLevel::kError, "failed", error.text);
    exit_code_ = kExitFailed;
    os_.loop().stop();
  }

  const StatusPortOptions status_;
  const TellEvent tell_;
  const std::string directory_;
  const bool is_durable_;
  const std::int32_t node_id_;
  io::OsEnvironment os_;
  std::unique_ptr<broker::Broker> broker_;
  /// Filled and used on the console's thread alone.
  struct Handle {
    BrokerPages* value = nullptr;
  };
  const std::shared_ptr<Handle> pages_ = std::make_shared<Handle>();
  std::optional<ConsoleThread> console_;
  io::Endpoint status_endpoint_;
  bool stopping_ = false;
  int exit_code_ = kExitOk;
};

}  // namespace

int run_broker(const Arguments& arguments) {
  BrokerArguments options;
  CLI::App app("The embedded log alone, for any Kafka client.", "onceflow broker");
  app.add_option("server.properties", options.properties_file,
                 "a configuration file, as Kafka's own");
  app.add_option("--override", options.overrides, "key=value, as a line of the file; repeatable")
      ->allow_extra_args(false);
  app.add_option("--data-dir", options.data_directory,
                 "where the data lies: log.dirs (default ./onceflow-data)");
  app.add_option("--port", options.port, "where to listen (default 9092; 0 takes a free one)");
  add_status_options(app, options.status);
  app.add_flag("--insecure", options.is_insecure,
               "listen on an address that other machines reach: there is no authentication, so "
               "each of them may read and write everything");
  add_log_options(app, options.log_format);
  if (const auto ended = parse_arguments(app, arguments)) {
    return *ended;
  }

  io::OsEnvironment reading;
  auto applied = read_configuration(options, reading.disk());
  if (!applied) {
    print_problem(applied.error().text);
    return kExitUsage;
  }
  const io::Endpoint& listen = applied->options.server.listen;
  if (!broker::is_loopback(listen.host)) {
    const std::string where =
        "PLAINTEXT://" + (broker::is_every_address(listen.host) ? "every address" : listen.host);
    if (!options.is_insecure) {
      print_problem(fmt::format(
          "listeners={}: other machines reach it, and there is no authentication: each of them "
          "could read and write everything; listen on 127.0.0.1, or, where the network keeps "
          "strangers out, start with --insecure",
          where));
      return kExitUsage;
    }
    applied->warnings.push_back(
        fmt::format("--insecure: there is no authentication: every client that reaches {} may read "
                    "and write everything",
                    where));
  }
  for (const std::string& warning : applied->warnings) {
    print_problem("warning: " + warning);
  }
  if (const auto said = bound_open_files(applied->options, io::raise_open_file_limit())) {
    print_problem("warning: " + *said);
  }
  return BrokerProcess(std::move(applied->options), options).run();
}

}  // namespace onceflow::app
