#include "app/bootstrap_servers.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <string_view>

namespace onceflow::app {

void add_servers_option(CLI::App& app, std::string& servers) {
  app.add_option("--bootstrap.servers", servers,
                 "host:port[,host:port]; default: as the file says, else the embedded log");
}

Result<std::vector<io::Endpoint>> parse_servers(const std::string& text) {
  std::vector<io::Endpoint> servers;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const auto server = io::parse_endpoint(std::string_view(text).substr(begin, end - begin));
    RETURN_IF_ERROR(server);
    servers.push_back(*server);
    begin = end + 1;
  }
  return servers;
}

std::string joined(const std::vector<std::string>& servers) {
  std::string text;
  for (const std::string& server : servers) {
    text += (text.empty() ? "" : ",") + server;
  }
  return text;
}

}  // namespace onceflow::app
