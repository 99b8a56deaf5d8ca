// The runner: what it makes of seeds that keep their promises, break one, or crash.
#include "sim/simulation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "base/check.h"

namespace onceflow::sim {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class SimulationTest : public testing::Test {
 protected:
  int run(RunResult (*run_one)(const RunOptions&)) {
    const SimulationOptions options{.seed_count = 6, .process_count = 2, .run = run_one};
    return run_simulation(options, [this](std::string_view line) { lines_.emplace_back(line); });
  }
  std::vector<std::string> lines_;
};

TEST_F(SimulationTest, seeds_that_keep_every_promise_are_counted) {
  EXPECT_EQ(run([](const RunOptions& options) {
              return RunResult{.workload = options.seed > 4 ? "log" : "groups", .event_count = 7};
            }),
            0);
  EXPECT_THAT(lines_, ElementsAre("6 seeds (groups 4, log 2), 42 events: 0 failed"));
}

TEST_F(SimulationTest, a_broken_promise_is_named_with_the_command_that_shows_it_again) {
  EXPECT_EQ(run([](const RunOptions& options) {
              RunResult result{.workload = "log", .faults = "kill 1/9", .event_count = 7};
              if (options.seed == 2) {
                result.findings = {{"LOG-1", "gone"}, {"LOG-2", "doubled"}};
              }
              return result;
            }),
            1);
  EXPECT_THAT(lines_, ElementsAre("seed 2 (log): broken", "  faults: kill 1/9", "  LOG-1: gone",
                                  "  LOG-2: doubled", "  onceflow sim --seed 2",
                                  "6 seeds (log 6), 42 events: 1 failed"));
}

TEST_F(SimulationTest, a_seed_that_crashes_is_named_and_the_others_go_on) {
  EXPECT_EQ(run([](const RunOptions& options) {
              CHECK_INVARIANT("LOG-2", options.seed != 3);
              return RunResult{.workload = "log", .event_count = 7};
            }),
            1);
  ASSERT_EQ(lines_.size(), 5U);
  EXPECT_EQ(lines_[0], "seed 3 (not known): broken");
  EXPECT_EQ(lines_[1], "  its process died: Aborted");
  EXPECT_THAT(lines_[2], HasSubstr("CHECK(options.seed != 3) failed; invariant LOG-2"));
  EXPECT_EQ(lines_[3], "  onceflow sim --seed 3");
  EXPECT_EQ(lines_[4], "6 seeds (log 5, not known 1), 35 events: 1 failed");
}

TEST_F(SimulationTest, a_seed_whose_second_run_differs_is_named) {
  EXPECT_EQ(run([](const RunOptions&) {
              static std::uint64_t runs = 0;
              return RunResult{.workload = "log", .hash = ++runs, .event_count = 7};
            }),
            1);
  EXPECT_THAT(lines_,
              ElementsAre("seed 1 (log): broken", "  a second run differs from the first",
                          "  onceflow sim --seed 1", "6 seeds (log 6), 42 events: 1 failed"));
}

}  // namespace
}  // namespace onceflow::sim
