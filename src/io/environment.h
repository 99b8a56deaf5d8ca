// Environment: the four ways out of the program, together. One a thread; the simulator makes one a
// simulated process.
#pragma once

#include "base/seeded_bug.h"
#include "io/disk.h"
#include "io/network.h"
#include "io/random.h"
#include "io/scheduler.h"

namespace onceflow::io {

struct Environment {
  Scheduler& scheduler;
  Disk& disk;
  Network& network;
  Random& random;
  SeededBug seeded_bug = SeededBug::kNone;
};

}  // namespace onceflow::io
