// --status-port: where a process shows /metrics and /status.
#pragma once

#include <cstdint>
#include <memory>

#include "console/status_server.h"

namespace onceflow::app {

/// Listens on the loopback interface (0 takes a free port) and prints where. kAddressInUse.
Result<std::unique_ptr<console::StatusServer>> open_status_port(io::Environment environment,
                                                                std::uint16_t port,
                                                                console::ReadStatus read_status);

}  // namespace onceflow::app
