// The first start of a log on a machine that goes down at any of its disk operations, with any of
// the names it made kept or lost.
#include <gtest/gtest.h>

#include <algorithm>

#include "log/log.h"
#include "sim/world/sim_world.h"

namespace onceflow::sim {
namespace {

class NothingKept final : public log::RecoveryListener {
 public:
  Status on_snapshot(ByteView) override { return {}; }
  Status on_record(ByteView) override { return {}; }
  Status on_end_transaction(const log::EndTransaction&, ByteView) override { return {}; }
};

TEST(FirstStart, a_crash_anywhere_in_it_leaves_what_the_next_one_begins_from) {
  std::uint32_t interrupted = 0;
  for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
    SimWorld world({.seed = seed, .faults = {.crash_at_disk = {1, 20}}});
    NothingKept listener;
    std::string refusal;
    bool is_open = false;
    const SimNode& node =
        world.add_node({.name = "log", .boot = [&](SimProcess& process) {
                          auto log = log::Log::open(process.environment(),
                                                    {.directory = "data",
                                                     .journal_first_file_bytes = 32 * 1024,
                                                     .journal_file_bytes = 64 * 1024,
                                                     .on_fatal = [](const Error&) {}},
                                                    listener);
                          if (process.is_running()) {
                            is_open = log.has_value();
                            refusal = log ? "" : log.error().text;
                          }
                          if (log) {
                            process.keep(*std::move(log));
                          }
                        }});
    world.start_faults();
    world.run_until([&] { return is_open || !refusal.empty(); }, seconds(600));
    ASSERT_TRUE(is_open) << "seed " << seed << ": " << refusal;
    interrupted += node.start_count() - 1;
  }
  EXPECT_GT(interrupted, 3000U);
}

}  // namespace
}  // namespace onceflow::sim
