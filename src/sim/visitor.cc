#include "sim/visitor.h"

namespace onceflow::sim {

namespace {

Task<void> run(const std::function<Task<void>(SimProcess&)>& visit, SimProcess& process,
               bool& has_ended) {
  co_await visit(process);
  has_ended = true;
}

}  // namespace

bool run_visitor(SimWorld& world, const std::string& name,
                 const std::function<Task<void>(SimProcess&)>& visit, Duration limit) {
  bool has_ended = false;
  SimNode& node = world.add_node(
      {.name = name,
       .boot =
           [&](SimProcess& process) { process.scheduler().spawn(run(visit, process, has_ended)); },
       .suffers_faults = false});
  const bool is_over = world.run_until([&] { return has_ended; }, limit);
  world.remove_node(node);
  return is_over;
}

}  // namespace onceflow::sim
