// How the file descriptors that the system gives a process are divided between a log's segments and
// its clients' connections, so that neither finds none left: a segment that cannot be opened stops
// the log. Stateless.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "broker/broker_options.h"

namespace onceflow::app {

/// Bounds open segments and connections to what fits into `open_file_count_max`. The text says so
/// if fewer connections are left than were asked for.
std::optional<std::string> bound_open_files(broker::BrokerOptions& options,
                                            std::size_t open_file_count_max);

}  // namespace onceflow::app
