#include "app/status_port.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "app/process_log.h"

namespace onceflow::app {

void add_status_options(CLI::App& app, StatusPortOptions& options) {
  app.add_option("--status-port", options.port,
                 "show /metrics, /status, /healthz and /readyz on this port (0 takes a free one)");
  app.add_option("--status-address", options.address,
                 "on this address; 0.0.0.0 is every one of this machine. Whoever reaches it reads "
                 "names of topics and errors, so keep it inside")
      ->capture_default_str();
}

Result<std::unique_ptr<console::StatusServer>> open_status_port(
    io::Environment environment, const StatusPortOptions& options,
    std::shared_ptr<console::Pages> pages) {
  auto server = console::StatusServer::start(
      environment, {.listen = {options.address, options.port.value_or(0)}}, std::move(pages));
  if (!server) {
    return fail(server.error().code,
                fmt::format("--status-address {} --status-port {}: {}", options.address,
                            options.port.value_or(0), server.error().text));
  }
  return server;
}

void print_status_port(const io::Endpoint& endpoint) {
  print_line(
      fmt::format("onceflow: http://{0}/status and http://{0}/metrics", io::to_string(endpoint)));
}

}  // namespace onceflow::app
