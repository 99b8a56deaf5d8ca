// onceflow sim: the whole system through simulated faults, seed by seed.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <iostream>

#include "app/commands.h"
#include "app/parse_arguments.h"
#include "io/os/process.h"
#include "io/os/process_pool.h"
#include "sim/simulation.h"

namespace onceflow::app {

int run_sim(const Arguments& arguments) {
  sim::SimulationOptions options;
  std::uint64_t seed = 0;
  CLI::App app("run the whole system through simulated faults", "onceflow sim");
  app.add_option("--seeds", options.seed_count, "how many seeds")->capture_default_str();
  app.add_option("--from", options.first_seed, "the first of them")->capture_default_str();
  auto* one = app.add_option("--seed", seed, "one seed, replayed, with its log");
  app.add_flag("--bugs", options.bugs, "each seeded bug on in turn; fails if one is not found");
  app.add_option("--bug", options.bug, "only this seeded bug");
  app.add_option("--workload", options.workload, "only this workload");
  options.process_count = io::processor_count();
  app.add_option("--processes", options.process_count, "how many run at a time")
      ->capture_default_str();
  if (const auto ended = parse_arguments(app, arguments)) {
    return *ended;
  }
  if (one->count() > 0) {
    options.replayed_seed = seed;
  }
  if (io::output_is_terminal()) {
    options.on_progress = [](std::uint64_t index, std::uint64_t count) {
      std::cerr << fmt::format("\r\x1b[Kseed {} of {}", index + 1, count) << std::flush;
      if (index + 1 == count) {
        std::cerr << "\r\x1b[K" << std::flush;
      }
    };
  }
  return sim::run_simulation(options,
                             [](std::string_view line) { std::cout << line << std::endl; });
}

}  // namespace onceflow::app
