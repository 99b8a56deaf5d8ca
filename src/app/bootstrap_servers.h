// bootstrap.servers: "host:port[,host:port]" of the command line, a list in a pipeline file.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "io/network.h"

namespace onceflow::app {

Result<std::vector<io::Endpoint>> parse_servers(const std::string& text);
/// Separated by commas.
std::string joined(const std::vector<std::string>& servers);

}  // namespace onceflow::app
