// OsEnvironment: the real ways out of the program for one thread, that which runs its loop.
//
// Declare it before everything that lives on it. It goes in this order: the disk's threads end, the
// loop drops callbacks and destroys tasks, then the rest.
#pragma once

#include "io/environment.h"
#include "io/os/event_loop.h"
#include "io/os/os_disk.h"
#include "io/os/os_network.h"
#include "io/os/os_random.h"

namespace onceflow::io {

class OsEnvironment {
 public:
  ~OsEnvironment() { shut_down(); }

  /// Ends all that is pending, before what it refers to goes. The destructor does it too.
  void shut_down() {
    disk_.shut_down();
    loop_.shut_down();
  }

  EventLoop& loop() { return loop_; }
  OsDisk& disk() { return disk_; }
  OsNetwork& network() { return network_; }
  OsRandom& random() { return random_; }
  Environment environment() { return {loop_, disk_, network_, random_}; }

 private:
  EventLoop loop_;
  OsDisk disk_{loop_};
  OsNetwork network_{loop_};
  OsRandom random_;
};

}  // namespace onceflow::io
