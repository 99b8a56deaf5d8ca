// What workloads with a broker share: how its node boots, and how clients find it. Stateless.
#pragma once

#include <string>

#include "broker/broker_options.h"
#include "client/options.h"
#include "sim/checkers/findings.h"
#include "sim/world/sim_process.h"

namespace onceflow::sim {

/// Small journal files and frequent checkpoints, so that a short run crosses their borders.
broker::BrokerOptions simulated_broker_options(std::int32_t partition_count);

/// A broker on the process of the node "broker". One that says its files are damaged is a finding.
void boot_broker(SimProcess& process, broker::BrokerOptions options, Findings& findings);

/// A client of that broker.
client::ClientOptions simulated_client_options(std::string client_id);

}  // namespace onceflow::sim
