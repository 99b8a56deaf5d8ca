#include "app/status_port.h"

#include <fmt/format.h>

#include <iostream>

namespace onceflow::app {

Result<std::unique_ptr<console::StatusServer>> open_status_port(io::Environment environment,
                                                                std::uint16_t port,
                                                                console::ReadStatus read_status) {
  auto server = console::StatusServer::start(environment, {.listen = {"127.0.0.1", port}},
                                             std::move(read_status));
  if (!server) {
    return fail(server.error().code,
                fmt::format("--status-port {}: {}", port, server.error().text));
  }
  std::cout << fmt::format("onceflow: http://{0}/status and http://{0}/metrics\n",
                           io::to_string((*server)->local()))
            << std::flush;
  return server;
}

}  // namespace onceflow::app
