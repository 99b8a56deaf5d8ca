// onceflow: a table of subcommands. Each has a file of its own, src/app/<name>.cc, which parses its
// arguments and wires the parts together, in the order in which data meets them.
#include <fmt/format.h>

#include <iostream>
#include <string_view>

#include "app/change_commands.h"
#include "io/os/line_writer.h"
#include "io/os/standard_streams.h"

namespace {

namespace io = onceflow::io;

using onceflow::app::Arguments;

struct Command {
  std::string_view name;
  std::string_view summary;
  int (*run)(const Arguments&);
};

constexpr Command kCommands[] = {
    {"run", "run a pipeline, on the embedded log or on a cluster", onceflow::app::run_run},
    {"broker", "the embedded log alone, for any Kafka client", onceflow::app::run_broker},
    {"validate", "check a pipeline file", onceflow::app::run_validate},
    {"explain", "stages, commit points and the guarantee of a pipeline",
     onceflow::app::run_explain},
    {"plan", "what a changed pipeline file keeps, changes and begins anew",
     onceflow::app::run_plan},
    {"reset", "begin a pipeline anew, or fit what it keeps to a changed file",
     onceflow::app::run_reset},
    {"audit", "account for every record of a pipeline, to the last row", onceflow::app::run_audit},
    {"sim", "run the whole system through simulated faults", onceflow::app::run_sim},
    {"cat", "write lines to a topic, or read a topic as lines", onceflow::app::run_cat},
    {"salvage", "save what can be read of a damaged log into a new directory",
     onceflow::app::run_salvage},
    {"dump", "print what a file of the log says", onceflow::app::run_dump},
};

void print_usage() {
  std::cout << "usage: onceflow COMMAND [ARGUMENTS]\n\n";
  for (const Command& command : kCommands) {
    std::cout << fmt::format("  {:<10} {}\n", command.name, command.summary);
  }
  std::cout << "\n'onceflow COMMAND --help' says more.\n";
}

int run_command(int argument_count, char** arguments) {
  const std::string_view name = argument_count > 1 ? arguments[1] : "--help";
  if (name == "--help" || name == "-h" || name == "help") {
    print_usage();
    return onceflow::app::kExitOk;
  }
  if (name == "--version") {
    std::cout << "onceflow " ONCEFLOW_VERSION "\n";
    return onceflow::app::kExitOk;
  }
  for (const Command& command : kCommands) {
    if (command.name == name) {
      return command.run(Arguments(arguments + 2, arguments + argument_count));
    }
  }
  std::cerr << fmt::format("onceflow: '{}' is no command; 'onceflow --help' lists them\n", name);
  return onceflow::app::kExitUsage;
}

// Of every command: what standard output has not taken was not done.
int finish_output(int exit_code) {
  std::cout.flush();
  io::finish_lines();
  const auto written = io::standard_output_status();
  if (written) {
    return exit_code;
  }
  std::cerr << "onceflow: " << written.error().text << '\n';
  return exit_code == onceflow::app::kExitOk ? onceflow::app::kExitFailed : exit_code;
}

}  // namespace

int main(int argument_count, char** arguments) {
  io::open_closed_streams();
  std::cout.rdbuf(&io::StandardOutput::instance());
  return finish_output(run_command(argument_count, arguments));
}
