#include "app/process_log.h"

#include <CLI/CLI.hpp>
#include <iostream>
#include <map>

#include "io/os/os_clock.h"

namespace onceflow::app {

void add_log_options(CLI::App& app, LogFormat& format) {
  app.add_option("--log-format", format, "lines on standard error: text or json")
      ->transform(CLI::CheckedTransformer(
          std::map<std::string, LogFormat>{{"text", LogFormat::kText}, {"json", LogFormat::kJson}}))
      ->default_str("text");
}

TellEvent log_to_stderr(std::string component, LogFormat format) {
  return [component = std::move(component), format](const LogEvent& event) {
    const io::OsClock clock;
    const std::string line = to_log_line(event, clock.wall_now(), format, component);
    // One call, so that lines of several threads do not mix; and past the stream, whose own state
    // they would share.
    std::cerr.rdbuf()->sputn(line.data(), static_cast<std::streamsize>(line.size()));
  };
}

}  // namespace onceflow::app
