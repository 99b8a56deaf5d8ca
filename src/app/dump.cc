// onceflow dump: what a file of the log says, line by line.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "app/parse_arguments.h"
#include "base/utf8.h"
#include "coordinator/record_dump.h"
#include "io/os/os_environment.h"
#include "log/dump.h"

namespace onceflow::app {
namespace {

std::string to_text(const log::DumpItem& item) {
  std::string text = fmt::format("{} {}", item.position, item.what);
  for (const auto& [name, value] : item.fields) {
    text += fmt::format(" {}={}", name, printable(value));
  }
  return text + "\n";
}

std::string to_json(const log::DumpItem& item) {
  nlohmann::ordered_json json = {{"byte", item.position}, {"what", item.what}};
  for (const auto& [name, value] : item.fields) {
    json[name] = as_utf8(value);
  }
  return json.dump() + "\n";
}

}  // namespace

int run_dump(const Arguments& arguments) {
  std::string path;
  bool json = false;
  CLI::App app(
      "print what a file of a data directory says: .log, .index, .journal, checkpoint.N,\n"
      "journal.durable, meta.properties; the file is only read\n"
      "exit code 0: all of it decodes; 1: something does not, and is told; 2: it cannot be read",
      "onceflow dump");
  app.add_option("FILE", path, "the file")->required();
  app.add_flag("--json", json, "an object per line");
  if (const auto ended = parse_arguments(app, arguments)) {
    return *ended;
  }
  io::OsEnvironment os;
  bool is_damaged = false;
  const Status dumped = log::dump_file(os.disk(), path, coordinator::records_to_dump(),
                                       [&](const log::DumpItem& item) {
                                         is_damaged = is_damaged || item.is_damage;
                                         std::cout << (json ? to_json(item) : to_text(item));
                                       });
  if (!dumped) {
    std::cerr << "onceflow dump: " << dumped.error().text << '\n';
    return kExitUsage;
  }
  return is_damaged ? kExitFailed : kExitOk;
}

}  // namespace onceflow::app
