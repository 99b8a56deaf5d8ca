// HostileClients: nodes that ask of a broker what they should not. The connections of one take
// memory and give nothing for it: half requests that fall silent, and requests whose answers nobody
// reads; in bursts, with a rest between them, so that a broker that gets rid of them has nobody
// waiting before the next. The other names the same thing many times, and judges the answers
// (REQ-1). Stateless.
#pragma once

#include "broker/broker_options.h"
#include "sim/checkers/findings.h"
#include "sim/world/sim_world.h"

namespace onceflow::sim {

/// So little memory for requests that a burst takes all of it.
void make_memory_short(broker::BrokerOptions& options);

/// Until `is_settling`, which outlives the world.
void add_hostile_clients(SimWorld& world, const bool& is_settling, Findings& findings);

}  // namespace onceflow::sim
