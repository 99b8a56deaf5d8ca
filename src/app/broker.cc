// onceflow broker: the embedded log alone, with Kafka's server.properties and its options.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/commands.h"
#include "app/process_log.h"
#include "app/status_of_broker.h"
#include "app/status_port.h"
#include "broker/broker.h"
#include "broker/server_properties.h"
#include "io/os/boot_id.h"
#include "io/os/os_environment.h"
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
    options.on_fatal = [this](const Error& error) { stop_at_once(error); };
    options.on_notice = [this](const Error& error) { tell(LogLevel::kWarn, "notice", error.text); };
    broker_ = std::make_unique<broker::Broker>(os_.environment(), std::move(options));
  }
  ~BrokerProcess() {
    // The loop goes first: it holds callbacks into the broker.
    os_.shut_down();
  }

  int run() {
    const io::Signals signals(os_.loop(), [this](int) { stop(); });
    tell(LogLevel::kInfo, "starting", "data " + directory_ + "; it recovers what is there");
    if (status_.port && !open_status()) {
      return exit_code_;
    }
    // Posted, for a stop that comes before run() would be forgotten by it.
    os_.loop().post([this] { os_.loop().spawn(start()); });
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
    print_line(fmt::format("onceflow broker ready on {} (node {}, data {}, durability {})",
                           io::to_string(broker_->local()), node_id_, directory_,
                           is_durable_ ? "sync" : "os"));
    tell(LogLevel::kInfo, "ready",
         fmt::format("on {}, recovered in {:.3f} s", io::to_string(broker_->local()),
                     std::chrono::duration<double>(os_.loop().now() - began).count()));
    status_page_.emplace(*broker_, os_.loop());
    if (status_server_) {
      print_status_port(*status_server_);
    }
  }

  bool open_status() {
    auto server = open_status_port(
        os_.environment(), status_,
        [this]() -> Task<console::StatusPage> {
          co_return status_page_ ? status_page_->read()
                                 : console::StatusPage{{}, {}, "the broker is starting"};
        },
        [this] { return health(); });
    if (!server) {
      stop_at_once(server.error());
      return false;
    }
    status_server_ = std::move(*server);
    return true;
  }

  // Alive while it answers at all: what it cannot go on with ends it.
  console::Health health() const {
    if (stopping_) {
      return {.is_ready = false, .text = "stopping\n"};
    }
    return status_page_ ? console::Health{.is_ready = true, .text = "ready\n"}
                        : console::Health{.is_ready = false, .text = "starting: recovering\n"};
  }

  // The first signal ends in order; a second one ends at once, which loses nothing acknowledged.
  void stop() {
    if (std::exchange(stopping_, true)) {
      os_.loop().stop();
      return;
    }
    tell(LogLevel::kInfo, "stopping", "with a last checkpoint");
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
  std::optional<BrokerStatusPage> status_page_;
  std::unique_ptr<console::StatusServer> status_server_;
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
  add_log_options(app, options.log_format);
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitOk : kExitUsage;
  }

  io::OsEnvironment reading;
  auto applied = read_configuration(options, reading.disk());
  if (!applied) {
    print_problem(applied.error().text);
    return kExitUsage;
  }
  for (const std::string& warning : applied->warnings) {
    print_problem("warning: " + warning);
  }
  return BrokerProcess(std::move(applied->options), options).run();
}

}  // namespace onceflow::app
