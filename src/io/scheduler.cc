#include "io/scheduler.h"

namespace onceflow::io {

// Awaits a spawned task and, when it has finished, takes it off the scheduler's list.
struct Scheduler::Reaper {
  static Task<void> run(Scheduler& scheduler, Task<void> task,
                        std::list<Task<void>>::iterator place) {
    co_await task;
    // This frame is *place: it cannot destroy itself while it runs, so the next turn does it.
    scheduler.post([&scheduler, place] { scheduler.spawned_.erase(place); });
  }
};

void Scheduler::spawn(Task<void> task) {
  const auto place = spawned_.emplace(spawned_.end());
  *place = Reaper::run(*this, std::move(task), place);
  place->start();
}

}  // namespace onceflow::io
