#include "sim/workloads/broker_node.h"

#include <fmt/format.h>
#include <limits>

#include <string>

#include "base/check.h"
#include "broker/broker.h"
#include "sim/world/sim_blocking_thread.h"
#include "sim/world/sim_world.h"

namespace onceflow::sim {

namespace {

constexpr Duration kWatchInterval = milliseconds(50);
// Who is in the way is closed after one second of silence, one after the other.
constexpr Duration kWaitForMemoryMax = seconds(15);

Task<void> watch_memory(SimProcess& process, const broker::Broker& broker, Findings& findings) {
  Duration paused{};  // of the wait: nobody is closed meanwhile
  while (true) {
    const MonotonicTime begun = process.scheduler().now();
    co_await process.scheduler().sleep_for(kWatchInterval);
    const broker::ServerStatistics server = broker.server_statistics();
    paused = server.memory_waited < kWatchInterval
                 ? Duration{}
                 : paused + (process.scheduler().now() - begun - kWatchInterval);
    if (server.memory_bytes > server.memory_bytes_max) {
      findings.report("MEM-1", fmt::format("requests and answers hold {} bytes, {} is the limit",
                                           server.memory_bytes, server.memory_bytes_max));
      co_return;
    }
    if (server.memory_waited - paused > kWaitForMemoryMax) {
      findings.report("MEM-2", "connections have waited for memory since " +
                                   std::to_string(server.memory_waited / seconds(1)) + " s");
      co_return;
    }
  }
}

}  // namespace

broker::BrokerOptions simulated_broker_options(std::int32_t partition_count) {
  broker::BrokerOptions options;
  options.server.listen = {"broker", 9092};
  options.num_partitions = partition_count;
  options.log.directory = "data";
  options.log.journal_first_file_bytes = 64 * 1024;
  options.log.journal_file_bytes = 128 * 1024;
  options.log.checkpoint_every_bytes = 256 * 1024;
  options.log.segment_flush_bytes = 512;
  // The clocks of machines jump by days, each for itself.
  options.log.topic_defaults.timestamp_after_max_ms = std::numeric_limits<std::int64_t>::max();
  options.coordinator.groups.initial_rebalance_delay = milliseconds(50);
  // One small record is looked into on the loop; more of them, or larger ones, are not.
  options.batch_bytes_on_loop_max = 100;
  // What names more than one thing is worked on in slices, each as short as it can be.
  options.names_at_once_max = 1;
  options.slice_length = Duration(0);
  options.log.removal_slice = Duration(0);
  return options;
}

void boot_broker(SimProcess& process, broker::BrokerOptions options, Findings& findings) {
  options.coordinator.groups.seeded_bug = process.world().seeded_bug();
  options.coordinator.transactions.seeded_bug = process.world().seeded_bug();
  options.server.seeded_bug = process.world().seeded_bug();
  options.boot_id = 1 + std::uint64_t{process.machine().crash_count};
  options.on_fatal = [&process](const Error& error) { process.exit(error.text); };
  auto& broker = process.make<broker::Broker>(
      process.environment(), std::make_unique<SimBlockingThread>(process), std::move(options));
  process.scheduler().spawn(
      [](SimProcess& life, broker::Broker& started, Findings& found) -> Task<void> {
        const Status ready = co_await started.start();
        if (!ready) {
          if (ready.error().code == ErrorCode::kCorrupt) {
            found.report("LOG-1", "the broker does not start: " + ready.error().text);
          }
          life.exit(ready.error().text);
        }
      }(process, broker, findings));
  process.scheduler().spawn(watch_memory(process, broker, findings));
}

client::ClientOptions simulated_client_options(std::string client_id) {
  client::ClientOptions options;
  CHECK(client::set_option(options, "bootstrap.servers", "broker:9092").has_value());
  options.client_id = std::move(client_id);
  options.request_timeout = seconds(5);
  return options;
}

}  // namespace onceflow::sim
