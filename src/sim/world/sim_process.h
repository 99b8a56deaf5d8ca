// SimProcess: one life of a simulated process: its loop, disk, network and chance, and what was
// built on them. SimScheduler: its loop. Owned by the SimWorld.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "io/environment.h"
#include "sim/world/sim_random.h"

namespace onceflow::sim {

class SimWorld;
class SimDisk;
class SimNetwork;
class SimNode;
class SimProcess;
struct SimMachine;

/// The loop of one process. Time is the world's; wall time is its machine's.
class SimScheduler final : public io::Scheduler {
 public:
  explicit SimScheduler(SimProcess& process) : process_(process) {}

  MonotonicTime now() const override;
  WallTime wall_now() const override;
  void post(Callback<void()> callback) override;
  void post_from_any_thread(Callback<void()> callback) override { post(std::move(callback)); }
  io::TimerId schedule_at(MonotonicTime time, Callback<void()> callback) override;
  void cancel(io::TimerId timer) override;

  void destroy_tasks() { destroy_spawned_tasks(); }

 private:
  SimProcess& process_;
};

enum class Liveness {
  kRunning,
  kDying,  ///< ends when its callback that runs now returns; nothing it does has an effect any more
  kDead,
};

class SimProcess {
 public:
  SimProcess(SimWorld& world, SimNode& node, SimMachine& machine, SimRandom random,
             SeededBug seeded_bug);
  ~SimProcess();
  SimProcess(const SimProcess&) = delete;
  SimProcess& operator=(const SimProcess&) = delete;

  io::Environment environment();
  SimWorld& world() { return world_; }
  SimNode& node() { return node_; }
  SimMachine& machine() { return machine_; }
  SimScheduler& scheduler() { return scheduler_; }
  const std::string& name() const;

  /// Keeps an object until the process ends: after its tasks, the last kept goes first.
  template <typename T>
  T& keep(std::unique_ptr<T> object) {
    T& kept = *object;
    kept_.emplace_back(std::move(object));
    return kept;
  }
  template <typename T, typename... Arguments>
  T& make(Arguments&&... arguments) {
    return keep(std::make_unique<T>(std::forward<Arguments>(arguments)...));
  }

  bool is_running() const { return liveness_ == Liveness::kRunning; }
  /// Ends this process of its own will, as exit() does; its node starts another.
  void exit(std::string_view reason);

 private:
  friend class SimWorld;

  /// Tasks, then what was kept. Its events have been dropped before.
  void destroy_everything();

  SimWorld& world_;
  SimNode& node_;
  SimMachine& machine_;
  SimRandom random_;
  SimScheduler scheduler_;
  std::unique_ptr<SimDisk> disk_;
  std::unique_ptr<SimNetwork> network_;
  SeededBug seeded_bug_;
  Liveness liveness_ = Liveness::kRunning;
  std::vector<std::shared_ptr<void>> kept_;  // shared_ptr only because it remembers how to destroy
};

}  // namespace onceflow::sim
