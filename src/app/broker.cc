// onceflow broker: the embedded log alone, with Kafka's server.properties and its options.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/commands.h"
#include "app/status_of_broker.h"
#include "app/status_port.h"
#include "broker/broker.h"
#include "broker/server_properties.h"
#include "io/os/os_environment.h"
#include "io/os/signals.h"

namespace onceflow::app {
namespace {

struct BrokerArguments {
  std::string properties_file;
  std::vector<std::string> overrides;
  std::string data_directory;
  std::optional<std::uint16_t> port;
  std::optional<std::uint16_t> status_port;
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
  BrokerProcess(broker::BrokerOptions options, std::optional<std::uint16_t> status_port)
      : status_port_(status_port),
        directory_(options.log.directory),
        is_durable_(options.log.flush == log::FlushMode::kDurable),
        node_id_(options.node_id) {
    options.on_fatal = [this](const Error& error) { stop_at_once(error); };
    options.on_notice = [](const Error& error) { print_problem(error.text); };
    broker_ = std::make_unique<broker::Broker>(os_.environment(), std::move(options));
  }
  ~BrokerProcess() {
    // The loop goes first: it holds callbacks into the broker.
    os_.shut_down();
  }

  int run() {
    const io::Signals signals(os_.loop(), [this](int) { stop(); });
    // Posted, for a stop that comes before run() would be forgotten by it.
    os_.loop().post([this] { os_.loop().spawn(start()); });
    os_.loop().run();
    return exit_code_;
  }

 private:
  Task<void> start() {
    const Status started = co_await broker_->start();
    if (!started) {
      stop_at_once(started.error());
      co_return;
    }
    std::fprintf(stdout, "onceflow broker ready on %s (node %d, data %s, durability %s)\n",
                 io::to_string(broker_->local()).c_str(), node_id_, directory_.c_str(),
                 is_durable_ ? "sync" : "os");
    std::fflush(stdout);
    if (status_port_) {
      open_status();
    }
  }

  void open_status() {
    status_page_.emplace(*broker_, os_.loop());
    auto server =
        open_status_port(os_.environment(), *status_port_,
                         [this]() -> Task<console::StatusPage> { co_return status_page_->read(); });
    if (!server) {
      stop_at_once(server.error());
      return;
    }
    status_server_ = std::move(*server);
  }

  // The first signal ends in order; a second one ends at once, which loses nothing acknowledged.
  void stop() {
    if (std::exchange(stopping_, true)) {
      os_.loop().stop();
      return;
    }
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
    print_problem(error.text);
    exit_code_ = kExitFailed;
    os_.loop().stop();
  }

  const std::optional<std::uint16_t> status_port_;
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
  app.add_option("--status-port", options.status_port,
                 "show /metrics and /status on this port of 127.0.0.1 (0 takes a free one)");
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
  return BrokerProcess(std::move(applied->options), options.status_port).run();
}

}  // namespace onceflow::app
