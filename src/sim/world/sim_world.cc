#include "sim/world/sim_world.h"

#include <algorithm>

namespace onceflow::sim {

namespace {
// What running a callback costs, so that whoever waits by spinning sees time pass.
constexpr Duration kCallbackTime{200};
}  // namespace

SimWorld::SimWorld(WorldOptions options)
    : faults_(options.faults),
      random_(options.seed * 0x9e3779b97f4a7c15 + 1),
      log_(std::move(options.on_log_line)),
      seeded_bug_(options.seeded_bug),
      fabric_(*this) {}

SimWorld::~SimWorld() {
  is_ending_ = true;
  for (const std::unique_ptr<SimNode>& node : nodes_) {
    if (node->process_ != nullptr) {
      end_process(*node->process_, "the world ends");
    }
  }
  events_.clear();
}

bool SimWorld::step() {
  if (events_.empty()) {
    return false;
  }
  const auto first = events_.begin();
  const auto [time, number] = first->first;
  now_ = std::max(now_, time);
  SimProcess* const process = first->second.process;
  if (process != nullptr && process->node().paused_until_) {
    // Kept for when it goes on, after what is kept already.
    const EventKey later{*process->node().paused_until_, number};
    auto kept = events_.extract(first);
    kept.key() = later;
    events_.insert(std::move(kept));
    time_of_event_[number] = later.first;
    return true;
  }
  Event event = std::move(first->second);
  events_.erase(first);
  time_of_event_.erase(number);
  ++event_count_;
  log_.mix(static_cast<std::uint64_t>(now_.time_since_epoch().count()));
  log_.mix(number * 8 + static_cast<std::uint64_t>(event.kind));
  now_ += kCallbackTime;
  current_ = process;
  event.callback();
  event.callback = nullptr;
  current_ = nullptr;
  if (process != nullptr && process->liveness_ == Liveness::kDying) {
    finish_end(*process);
  }
  return true;
}

void SimWorld::run_for(Duration duration) {
  run_until([] { return false; }, duration);
}

bool SimWorld::run_until(const std::function<bool()>& done, Duration limit) {
  const MonotonicTime deadline = now_ + limit;
  while (!done()) {
    if (events_.empty() || events_.begin()->first.first > deadline) {
      now_ = std::max(now_, deadline);
      return false;
    }
    step();
  }
  return true;
}

std::uint64_t SimWorld::schedule_after(Duration duration, Callback<void()> callback) {
  return schedule(nullptr, now_ + duration, EventKind::kWorld, std::move(callback));
}

std::uint64_t SimWorld::schedule(SimProcess* process, MonotonicTime time, EventKind kind,
                                 Callback<void()> callback) {
  if (process != nullptr && !process->is_running()) {
    return 0;
  }
  const std::uint64_t number = ++last_event_;
  time = std::max(time, now_);
  events_.emplace(EventKey{time, number}, Event{process, kind, std::move(callback)});
  time_of_event_.emplace(number, time);
  return number;
}

void SimWorld::cancel(std::uint64_t event) {
  const auto found = time_of_event_.find(event);
  if (found != time_of_event_.end()) {
    const auto dropped = events_.extract({found->second, event});
    time_of_event_.erase(found);
  }
}

// ----------------------------------------------------------------------------------------------
// Nodes

SimMachine& SimWorld::machine(const std::string& name) {
  for (const std::unique_ptr<SimMachine>& known : machines_) {
    if (known->name == name) {
      return *known;
    }
  }
  return *machines_.emplace_back(std::make_unique<SimMachine>(*this, name));
}

SimNode& SimWorld::add_node(NodeOptions options) {
  SimMachine& on = machine(options.machine.empty() ? options.name : options.machine);
  // Not make_unique: the constructor is the world's alone.
  nodes_.push_back(std::unique_ptr<SimNode>(new SimNode(std::move(options), on)));
  start(*nodes_.back());
  return *nodes_.back();
}

SimNode& SimWorld::node(std::string_view name) {
  const auto found = std::ranges::find_if(
      nodes_, [&](const std::unique_ptr<SimNode>& node) { return node->name() == name; });
  CHECK(found != nodes_.end());
  return **found;
}

void SimWorld::start(SimNode& node) {
  node.restart_event_ = 0;
  ++node.start_count_;
  draw_damage(node);
  note(node.name(), "start");
  processes_.push_back(std::make_unique<SimProcess>(*this, node, node.machine_,
                                                    random_.fork(node.name()), seeded_bug_));
  node.process_ = processes_.back().get();
  schedule(node.process_, now_, EventKind::kPost, [&node] { node.options_.boot(*node.process_); });
}

void SimWorld::end_process(SimProcess& process, std::string_view reason) {
  if (!process.is_running()) {
    return;
  }
  note(process.name(), reason);
  process.liveness_ = Liveness::kDying;
  fabric_.process_ended(process, false);
  process.machine().disk.process_ended(process);
  drop_events(process);
  if (current_ != &process) {
    finish_end(process);
  }
}

void SimWorld::crash_machine(SimMachine& machine, std::string_view reason) {
  note(machine.name, reason);
  ++machine.crash_count;
  machine.has_gone_down = true;
  std::vector<SimProcess*> ending;
  for (const std::unique_ptr<SimNode>& node : nodes_) {
    if (node->process_ != nullptr && &node->machine_ == &machine && node->process_->is_running()) {
      ending.push_back(node->process_);
      node->process_->liveness_ = Liveness::kDying;
      fabric_.process_ended(*node->process_, true);
    }
  }
  machine.disk.crash();
  for (SimProcess* const process : ending) {
    drop_events(*process);
    if (current_ != process) {
      finish_end(*process);
    }
  }
}

void SimWorld::drop_events(SimProcess& process) {
  // Their destructors run after the walk: they may cancel events.
  std::vector<EventMap::node_type> dropped;
  for (auto place = events_.begin(); place != events_.end();) {
    const auto next = std::next(place);
    if (place->second.process == &process) {
      time_of_event_.erase(place->first.second);
      dropped.push_back(events_.extract(place));
    }
    place = next;
  }
}

void SimWorld::finish_end(SimProcess& process) {
  process.liveness_ = Liveness::kDead;
  process.destroy_everything();
  SimNode& node = process.node();
  node.process_ = nullptr;
  node.paused_until_.reset();
  restart_later(node);
}

void SimWorld::restart_later(SimNode& node) {
  if (!is_ending_ && node.options_.boot && node.restart_event_ == 0) {
    node.restart_event_ = schedule_after(random_.between(faults_.restart_min, faults_.restart_max),
                                         [this, &node] { start(node); });
  }
}

void SimWorld::kill(SimNode& node, std::string_view reason) {
  if (node.process_ != nullptr) {
    end_process(*node.process_, reason);
  }
}

void SimWorld::remove_node(SimNode& node) {
  CHECK(current_ == nullptr || current_ != node.process_);
  node.options_.boot = nullptr;
  node.options_.suffers_faults = false;
  kill(node, "end");
  cancel(std::exchange(node.restart_event_, 0));
}

void SimWorld::pause(SimNode& node, Duration duration) {
  if (node.process_ == nullptr || node.paused_until_) {
    return;
  }
  note(node.name(), "pause");
  const MonotonicTime until = now_ + duration;
  node.paused_until_ = until;
  schedule_after(duration - Duration(1), [this, &node, process = node.process_, until] {
    // It may have gone on before that, and be paused once more.
    if (node.process_ == process && node.paused_until_ == until) {
      note(node.name(), "goes on");
      node.paused_until_.reset();
    }
  });
}

void SimWorld::partition(SimNode& one, SimNode& other, Duration duration) {
  note(one.name(), "partition from " + other.name());
  partitions_.push_back({&one.machine_, &other.machine_, now_ + duration});
}

bool SimWorld::is_partitioned(const SimMachine& one, const SimMachine& other) const {
  return std::ranges::any_of(partitions_, [&](const Partition& partition) {
    return partition.until > now_ && ((partition.one == &one && partition.other == &other) ||
                                      (partition.one == &other && partition.other == &one));
  });
}

void SimWorld::set_disk_full(SimMachine& machine, Duration duration) {
  note(machine.name, "the disk is full");
  machine.disk.set_full(true);
  schedule_after(duration, [this, &machine] {
    note(machine.name, "the disk has space again");
    machine.disk.set_full(false);
  });
}

// ---------------------------------------------------------------------------------------------
// Faults

void SimWorld::start_faults() {
  faults_are_on_ = true;
  if (fault_event_ == 0) {
    fault_event_ = schedule_after(faults_.interval, [this] { draw_faults(); });
  }
}

void SimWorld::stop_faults() {
  faults_are_on_ = false;
  cancel(std::exchange(fault_event_, 0));
  const Faults calm = Faults::none();
  faults_ = calm;
  partitions_.clear();
  for (const std::unique_ptr<SimNode>& node : nodes_) {
    go_on(*node);
    node->machine_.disk.set_full(false);
  }
}

// Before its time: what was kept for later is due now, in its order and before anything newer.
void SimWorld::go_on(SimNode& node) {
  const auto until = std::exchange(node.paused_until_, std::nullopt);
  if (!until) {
    return;
  }
  for (auto place = events_.lower_bound({*until, 0});
       place != events_.end() && place->first.first == *until;) {
    const auto kept = place++;
    if (kept->second.process == node.process_) {
      auto due = events_.extract(kept);
      due.key().first = now_;
      time_of_event_[due.key().second] = now_;
      events_.insert(std::move(due));
    }
  }
}

void SimWorld::draw_faults() {
  fault_event_ = schedule_after(faults_.interval, [this] { draw_faults(); });
  std::erase_if(partitions_, [&](const Partition& partition) { return partition.until <= now_; });
  for (const std::unique_ptr<SimNode>& node : nodes_) {
    if (node->options_.suffers_faults && node->process_ != nullptr) {
      draw_faults_of(*node);
    }
  }
}

void SimWorld::draw_faults_of(SimNode& node) {
  if (random_.happens(faults_.partition) && nodes_.size() > 1) {
    SimNode& other = *nodes_[random_.below(nodes_.size())];
    if (&other.machine_ != &node.machine_) {
      partition(node, other, random_.between(Duration::zero(), faults_.partition_max));
    }
  }
  if (random_.happens(faults_.disk_full) && !node.machine_.disk.is_full()) {
    set_disk_full(node.machine_, random_.between(Duration::zero(), faults_.disk_full_max));
  }
  if (random_.happens(faults_.wall_clock_jump)) {
    note(node.name(), "the wall clock jumps");
    node.machine_.wall_clock_offset += random_.between(seconds(0), seconds(120)) - seconds(60);
  }
  if (random_.happens(faults_.pause)) {
    pause(node, random_.between(milliseconds(1), faults_.pause_max));
  }
  if (random_.happens(faults_.kill)) {
    kill(node);
  } else if (random_.happens(faults_.crash)) {
    crash_machine(node.machine_);
  }
}

// Between two lives: what rots is at rest, and who reads it next has not seen it before.
void SimWorld::draw_damage(SimNode& node) {
  if (faults_are_on_ && node.options_.suffers_damage && random_.happens(faults_.bit_rot)) {
    const std::string place = node.machine_.disk.flip_bit(random_);
    if (!place.empty()) {
      ++node.machine_.damage_count;
      note(node.machine_.name, "a bit rots: " + place);
    }
  }
  // Not together with a loss of power, which may take what would have told of it (LIMITS.md).
  if (faults_are_on_ && node.options_.suffers_damage && !node.machine_.has_gone_down &&
      random_.happens(faults_.file_damage)) {
    const std::string what = node.machine_.disk.damage_file(random_);
    if (!what.empty()) {
      ++node.machine_.damage_count;
      note(node.machine_.name, what);
    }
  }
}

void SimWorld::disk_operation(SimProcess& process) {
  if (!faults_are_on_ || !process.node().options_.suffers_faults || !process.is_running()) {
    return;
  }
  if (random_.happens(faults_.kill_at_disk)) {
    end_process(process, "kill at a disk operation");
  } else if (random_.happens(faults_.crash_at_disk)) {
    crash_machine(process.machine(), "crash at a disk operation");
  }
}

}  // namespace onceflow::sim
