// A visitor: a process on a node of its own that comes into the simulated world, does one thing and
// goes. For what is done from outside once faults have stopped. Stateless.
#pragma once

#include <functional>
#include <string>

#include "base/task.h"
#include "sim/world/sim_world.h"

namespace onceflow::sim {

/// Runs the world until `visit` has ended; false if that took more than `limit` of its time.
bool run_visitor(SimWorld& world, const std::string& name,
                 const std::function<Task<void>(SimProcess&)>& visit, Duration limit);

}  // namespace onceflow::sim
