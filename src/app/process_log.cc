#include "app/process_log.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <map>
#include <memory>

#include "io/os/line_writer.h"
#include "io/os/os_clock.h"

namespace onceflow::app {

void add_log_options(CLI::App& app, LogFormat& format) {
  app.add_option("--log-format", format, "lines on standard error: text or json")
      ->transform(CLI::CheckedTransformer(
          std::map<std::string, LogFormat>{{"text", LogFormat::kText}, {"json", LogFormat::kJson}}))
      ->default_str("text");
}

TellEvent log_to_stderr(std::string component, LogFormat format) {
  const auto to_line = [component = std::move(component), format](const LogEvent& event) {
    const io::OsClock clock;
    return to_log_line(event, clock.wall_now(), format, component);
  };
  auto writer = std::make_shared<io::LineWriter>(io::kStandardError, [to_line](std::uint64_t lost) {
    return to_line({.level = LogLevel::kWarn,
                    .stage = {},
                    .event = "lines lost",
                    .text = fmt::format("{} line{} could not be written to standard error: it "
                                        "was full, or failed",
                                        lost, lost == 1 ? "" : "s")});
  });
  return [writer = std::move(writer), to_line](const LogEvent& event) {
    writer->write(to_line(event));
  };
}

void print_line(std::string line) {
  static io::LineWriter output(io::kStandardOutput);
  output.write(std::move(line) + '\n');
}

}  // namespace onceflow::app
