// The arguments of a subcommand, read by its table of options. A value that is empty is refused by
// name: it is nearly always a variable of a shell that is not set, and would stand for a default
// or, as a directory, for the one that the command happens to stand in.
#pragma once

#include <optional>

#include "app/commands.h"

namespace CLI {
class App;
}

namespace onceflow::app {

/// An exit code where the command ends here: --help was asked for, or the arguments are refused;
/// what is to be said has been said.
std::optional<int> parse_arguments(CLI::App& app, const Arguments& arguments);

}  // namespace onceflow::app
