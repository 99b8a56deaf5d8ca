// HostileClients: a node whose connections take memory from a broker and give nothing for it: half
// requests that fall silent, and requests whose answers nobody reads. In bursts, with a rest
// between them, so that a broker that gets rid of them has nobody waiting before the next.
// Stateless.
#pragma once

#include "broker/broker_options.h"
#include "sim/world/sim_world.h"

namespace onceflow::sim {

/// So little memory for requests that a burst takes all of it.
void make_memory_short(broker::BrokerOptions& options);

/// Until `is_settling`, which outlives the world.
void add_hostile_clients(SimWorld& world, const bool& is_settling);

}  // namespace onceflow::sim
