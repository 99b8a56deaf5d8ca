// bootstrap.servers: "host:port[,host:port]" of the command line, a list in a pipeline file.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "io/network.h"

namespace CLI {
class App;
}

namespace onceflow::app {

/// The option of every command that asks a cluster. Given and blank, as an unset variable leaves
/// it, it is refused: it would mean the embedded log.
void add_servers_option(CLI::App& app, std::string& servers);

Result<std::vector<io::Endpoint>> parse_servers(const std::string& text);
/// Separated by commas.
std::string joined(const std::vector<std::string>& servers);

}  // namespace onceflow::app
