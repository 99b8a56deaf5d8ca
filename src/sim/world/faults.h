// Faults: what goes wrong in a simulated world, how often and for how long. One value a seed.
#pragma once

#include <string>

#include "base/time.h"
#include "sim/world/sim_random.h"

namespace onceflow::sim {

struct Faults {
  // Network.
  Duration latency_min = microseconds(50);
  Duration latency_max = milliseconds(2);
  Chance connection_cut;  ///< a message: the connection breaks somewhere inside it
  Chance reply_lost;  ///< a message from the accepting side: lost whole, and the connection with it
  Chance half_open;   ///< a break: one side, or both, learn of it very late
  Chance connect_fails;  ///< a connection attempt

  // Disk.
  Duration sync_latency_min = microseconds(80);
  Duration sync_latency_max = milliseconds(1);
  Chance slow_sync;  ///< a sync or durable write takes up to slow_sync_max
  Duration slow_sync_max = milliseconds(400);
  Chance sync_fails;     ///< a sync or durable write: the disk says no; what it did is unknown
  Chance kill_at_disk;   ///< a disk operation: the process ends right before or after it
  Chance crash_at_disk;  ///< the same, with its machine

  // From outside, one draw of each every `interval` for each node.
  Duration interval = milliseconds(100);
  Chance kill;   ///< the process ends; its page cache stays
  Chance crash;  ///< its machine goes down; what was not synced is lost, torn, or there
  Chance pause;  ///< nothing of it runs for up to pause_max, then it goes on as a zombie
  Duration pause_max = seconds(20);
  Chance partition;  ///< it and another node do not hear each other for up to partition_max
  Duration partition_max = seconds(10);
  Chance disk_full;  ///< its disk is full for up to disk_full_max
  Duration disk_full_max = seconds(5);
  // At a start, only where a node may suffer it:
  Chance bit_rot;      ///< a bit of a file has flipped
  Chance file_damage;  ///< a file is gone, cut, zeroed to its end, or exchanged with another one
  Chance wall_clock_jump;  ///< its wall clock jumps by up to a minute, either way
  Duration restart_min = milliseconds(5);
  Duration restart_max = seconds(2);

  /// A world in which only time passes.
  static Faults none() { return {}; }
  /// Each kind of fault on or off by the seed, with a rate by the seed: a run with few kinds goes
  /// deeper than one with all (swarm testing, Groce et al. 2012).
  static Faults swarm(SimRandom& random);
  /// Those that are on, with their chances.
  std::string describe() const;
};

}  // namespace onceflow::sim
