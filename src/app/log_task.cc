#include "app/log_task.h"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <iostream>
#include <optional>
#include <utility>

#include "app/commands.h"
#include "app/process_log.h"
#include "app/shell_words.h"
#include "io/os/signals.h"

namespace onceflow::app {
namespace {

class LogTask {
 public:
  LogTask(const LogTaskOptions& options, std::function<Task<int>(LogAtHand)> task)
      : options_(options), task_(std::move(task)) {}
  ~LogTask() {
    log_.reset();
    os_.shut_down();
  }

  int run() {
    const io::Signals signals(os_.loop(), [this](int) { os_.loop().stop(); });
    if (!options_.bootstrap_servers.empty()) {
      start(options_.bootstrap_servers, false);
    } else {
      EmbeddedLogOptions options = options_.log;
      options.port = 0;
      log_.emplace(
          options, os_.loop(), log_to_stderr(options_.verb, LogFormat::kText),
          [this](const io::Endpoint& endpoint) { start(io::to_string(endpoint), true); },
          [this](const Error& error) { log_failed(error); });
    }
    os_.loop().run();
    return exit_code_;
  }

 private:
  void log_failed(const Error& error) {
    if (error.code == ErrorCode::kLocked) {
      start(fmt::format("127.0.0.1:{}", options_.log.port), false);
    } else {
      fail_with(error);
    }
  }

  void start(const std::string& servers, bool is_ours) {
    client::ClientOptions client;
    if (const Status set = client::set_option(client, "bootstrap.servers", servers); !set) {
      fail_with(set.error());
      return;
    }
    client.client_id = "onceflow-admin";
    auto cluster = client::Cluster::create(os_.environment(), std::move(client));
    os_.loop().spawn(run_task({os_, std::move(cluster), is_ours}));
  }

  Task<void> run_task(LogAtHand log) {
    exit_code_ = co_await task_(log);
    log.cluster->close();
    os_.loop().stop();
  }

  void fail_with(const Error& error) {
    std::cerr << "onceflow " << options_.verb << ": " << error.text << '\n';
    exit_code_ = kExitUsage;
    os_.loop().stop();
  }

  const LogTaskOptions& options_;
  std::function<Task<int>(LogAtHand)> task_;
  io::OsEnvironment os_;
  std::optional<EmbeddedLog> log_;
  int exit_code_ = kExitUsage;
};

}  // namespace

std::string log_flags_of(const CLI::App& app) {
  std::string flags;
  for (const char* name : {"--bootstrap.servers", "--data-dir", "--port"}) {
    const CLI::Option* option = app.get_option_no_throw(name);
    if (option == nullptr || option->count() == 0) {
      continue;
    }
    flags += fmt::format(" {} {}", name, shell_word(option->as<std::string>()));
  }
  return flags;
}

bool is_log_missing(const LogTaskOptions& options) {
  io::OsEnvironment os;
  const auto exists = os.disk().exists(options.log.data_directory);
  return options.bootstrap_servers.empty() && exists && !*exists;
}

std::string missing_log(const LogTaskOptions& options) {
  return fmt::format(
      "onceflow {}: there is no log under {}, so nothing is kept there; --data-dir names another\n",
      options.verb, options.log.data_directory);
}

int run_on_log(const LogTaskOptions& options, std::function<Task<int>(LogAtHand)> task) {
  return LogTask(options, std::move(task)).run();
}

}  // namespace onceflow::app
