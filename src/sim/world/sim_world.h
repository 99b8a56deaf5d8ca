// SimWorld: simulated machines, processes and the network between them, on one thread, in virtual
// time, decided by one seed. The same seed gives the same run, event by event.
//
// A SimNode is a place where a process runs: its boot function builds everything anew, after the
// start and after each end. What survives is on the machine's disk.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/seeded_bug.h"
#include "sim/world/event_log.h"
#include "sim/world/faults.h"
#include "sim/world/sim_disk.h"
#include "sim/world/sim_network.h"
#include "sim/world/sim_process.h"

namespace onceflow::sim {

/// What several processes may share: a disk and a wall clock.
struct SimMachine {
  SimMachine(SimWorld& world, std::string machine_name)
      : name(std::move(machine_name)), disk(world, *this) {}
  std::string name;
  DiskImage disk;
  Duration wall_clock_offset{};
  std::uint32_t crash_count = 0;
  std::uint32_t damage_count = 0;  ///< of files, at rest
  bool has_gone_down = false;      ///< and no process has taken stock since; the process clears it
};

struct NodeOptions {
  std::string name;
  std::string machine;                    ///< as the name if empty
  std::function<void(SimProcess&)> boot;  ///< runs as the first callback of each process
  bool suffers_faults = true;             ///< of those that come from outside and at its disk
  bool suffers_damage = false;            ///< may lose its data, if it says so
};

class SimNode {
 public:
  const std::string& name() const { return options_.name; }
  SimMachine& machine() { return machine_; }
  /// Null between two lives.
  SimProcess* process() { return process_; }
  std::uint32_t start_count() const { return start_count_; }
  bool is_paused() const { return paused_until_.has_value(); }

 private:
  friend class SimWorld;
  SimNode(NodeOptions options, SimMachine& machine)
      : options_(std::move(options)), machine_(machine) {}

  NodeOptions options_;
  SimMachine& machine_;
  SimProcess* process_ = nullptr;
  std::uint32_t start_count_ = 0;
  std::optional<MonotonicTime> paused_until_;
  std::uint64_t restart_event_ = 0;
};

enum class EventKind : std::uint8_t { kPost, kTimer, kDisk, kNetwork, kWorld };

struct WorldOptions {
  std::uint64_t seed = 0;
  Faults faults;
  SeededBug seeded_bug = SeededBug::kNone;
  EventLog::LineListener on_log_line;
};

class SimWorld {
 public:
  explicit SimWorld(WorldOptions options);
  ~SimWorld();
  SimWorld(const SimWorld&) = delete;
  SimWorld& operator=(const SimWorld&) = delete;

  // Time.
  MonotonicTime now() const { return now_; }
  /// Runs the next event; false if there is none.
  bool step();
  void run_for(Duration duration);
  /// False if `limit` of virtual time has passed before `done` says so; asked after every event.
  bool run_until(const std::function<bool()>& done, Duration limit);
  /// Runs the callback as nobody's: for workloads and what comes from outside.
  std::uint64_t schedule_after(Duration duration, Callback<void()> callback);

  // Nodes. References stay valid as long as the world.
  SimNode& add_node(NodeOptions options);
  SimNode& node(std::string_view name);
  /// kill -9: callbacks are dropped, tasks and objects destroyed; peers see its connections end;
  /// what was written stays, synced or not. The node starts again later.
  void kill(SimNode& node, std::string_view reason = "kill");
  /// All processes of the machine end; unsynced sectors and directory entries are kept, lost or
  /// torn; peers may learn of it late.
  void crash_machine(SimMachine& machine, std::string_view reason = "crash");
  /// Nothing of the process runs until then; its connections stay.
  void pause(SimNode& node, Duration duration);
  /// The machines of the two do not hear each other until then.
  void partition(SimNode& one, SimNode& other, Duration duration);
  bool is_partitioned(const SimMachine& one, const SimMachine& other) const;
  void set_disk_full(SimMachine& machine, Duration duration);
  /// The end of a node: it does not start again.
  void remove_node(SimNode& node);

  // Faults from outside and at disk operations: from now until stop_faults().
  void start_faults();
  void stop_faults();
  Faults& faults() { return faults_; }

  SimRandom& random() { return random_; }
  EventLog& log() { return log_; }
  void note(std::string_view who, std::string_view what) { log_.note(now_, who, what); }
  SeededBug seeded_bug() const { return seeded_bug_; }
  std::uint64_t event_count() const { return event_count_; }

  // For the other files of sim/world.
  /// 0, and the callback is dropped, if the process has ended.
  std::uint64_t schedule(SimProcess* process, MonotonicTime time, EventKind kind,
                         Callback<void()> callback);
  void cancel(std::uint64_t event);
  void end_process(SimProcess& process, std::string_view reason);
  /// May end the calling process or its machine, as the faults say. Around every disk operation.
  void disk_operation(SimProcess& process);
  NetworkFabric& fabric() { return fabric_; }

 private:
  struct Event {
    SimProcess* process = nullptr;
    EventKind kind = EventKind::kWorld;
    Callback<void()> callback;
  };
  using EventKey = std::pair<MonotonicTime, std::uint64_t>;
  using EventMap = std::map<EventKey, Event>;

  void start(SimNode& node);
  void finish_end(SimProcess& process);
  void drop_events(SimProcess& process);
  void restart_later(SimNode& node);
  void go_on(SimNode& node);
  void draw_faults();
  void draw_faults_of(SimNode& node);
  void draw_damage(SimNode& node);
  SimMachine& machine(const std::string& name);

  Faults faults_;
  SimRandom random_;
  EventLog log_;
  SeededBug seeded_bug_;
  MonotonicTime now_{};
  std::uint64_t last_event_ = 0;
  std::uint64_t event_count_ = 0;
  EventMap events_;
  std::unordered_map<std::uint64_t, MonotonicTime> time_of_event_;  // never walked
  NetworkFabric fabric_;
  std::vector<std::unique_ptr<SimMachine>> machines_;
  std::vector<std::unique_ptr<SimNode>> nodes_;
  // The dead stay until the world goes: what outlives them may still point there.
  std::vector<std::unique_ptr<SimProcess>> processes_;
  SimProcess* current_ = nullptr;
  struct Partition {
    const SimMachine* one;
    const SimMachine* other;
    MonotonicTime until;
  };
  std::vector<Partition> partitions_;
  bool faults_are_on_ = false;
  std::uint64_t fault_event_ = 0;
  bool is_ending_ = false;
};

}  // namespace onceflow::sim
