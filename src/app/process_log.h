// ProcessLog: the log of `onceflow run` and `onceflow broker`: one line per event on standard
// error, as --log-format says. Any thread may tell: a line is one write, and nobody waits for a
// reader who does not read.
#pragma once

#include <string>

#include "base/log_event.h"
#include "base/log_line.h"

namespace CLI {
class App;
}

namespace onceflow::app {

/// --log-format.
void add_log_options(CLI::App& app, LogFormat& format);

/// `component`: "run", "broker".
TellEvent log_to_stderr(std::string component, LogFormat format);

/// A line on standard output, for scripts. Nobody waits for those either.
void print_line(std::string line);

}  // namespace onceflow::app
