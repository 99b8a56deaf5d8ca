#include "app/parse_arguments.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <string>
#include <vector>

namespace onceflow::app {
namespace {

const CLI::Option* find_empty(const CLI::App& app) {
  const auto options = app.get_options();
  const auto is_empty = [](const CLI::Option* option) {
    return std::ranges::any_of(option->results(), &std::string::empty);
  };
  const auto found = std::ranges::find_if(options, is_empty);
  return found == options.end() ? nullptr : *found;
}

}  // namespace

std::optional<int> parse_arguments(CLI::App& app, const Arguments& arguments) {
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitOk : kExitUsage;
  }
  if (const CLI::Option* const empty = find_empty(app)) {
    std::cerr << fmt::format(
        "{}: {} is empty (is a variable not set?){}\n", app.get_name(), empty->get_name(),
        empty->get_positional() ? "" : "; give a value, or leave the option out");
    return kExitUsage;
  }
  return std::nullopt;
}

}  // namespace onceflow::app
