#include "sim/world/sim_process.h"

#include "sim/world/sim_world.h"

namespace onceflow::sim {

MonotonicTime SimScheduler::now() const { return process_.world().now(); }

WallTime SimScheduler::wall_now() const {
  // The wall clock of a run starts at 2024-01-01 00:00:00 UTC.
  constexpr std::int64_t kStartMs = 1'704'067'200'000;
  return {kStartMs + to_ms(now().time_since_epoch() + process_.machine().wall_clock_offset)};
}

void SimScheduler::post(Callback<void()> callback) {
  process_.world().schedule(&process_, now(), EventKind::kPost, std::move(callback));
}

io::TimerId SimScheduler::schedule_at(MonotonicTime time, Callback<void()> callback) {
  return process_.world().schedule(&process_, time, EventKind::kTimer, std::move(callback));
}

void SimScheduler::cancel(io::TimerId timer) { process_.world().cancel(timer); }

SimProcess::SimProcess(SimWorld& world, SimNode& node, SimMachine& machine, SimRandom random,
                       SeededBug seeded_bug)
    : world_(world),
      node_(node),
      machine_(machine),
      random_(random),
      scheduler_(*this),
      disk_(std::make_unique<SimDisk>(*this)),
      network_(std::make_unique<SimNetwork>(*this)),
      seeded_bug_(seeded_bug) {}

SimProcess::~SimProcess() = default;

io::Environment SimProcess::environment() {
  return {scheduler_, *disk_, *network_, random_, seeded_bug_};
}

const std::string& SimProcess::name() const { return node_.name(); }

void SimProcess::exit(std::string_view reason) { world_.end_process(*this, reason); }

void SimProcess::destroy_everything() {
  scheduler_.destroy_tasks();
  while (!kept_.empty()) {
    kept_.pop_back();
  }
}

}  // namespace onceflow::sim
