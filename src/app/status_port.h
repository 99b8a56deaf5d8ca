// --status-port and --status-address: where a process shows its status.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "console/status_server.h"

namespace CLI {
class App;
}

namespace onceflow::app {

struct StatusPortOptions {
  std::optional<std::uint16_t> port;  ///< none: nothing listens
  std::string address = "127.0.0.1";
};

/// --status-port and --status-address.
void add_status_options(CLI::App& app, StatusPortOptions& options);

/// Listens (port 0 takes a free one). kAddressInUse.
Result<std::unique_ptr<console::StatusServer>> open_status_port(
    io::Environment environment, const StatusPortOptions& options,
    std::shared_ptr<console::Pages> pages);
/// On standard output, for people and scripts.
void print_status_port(const io::Endpoint& endpoint);

}  // namespace onceflow::app
