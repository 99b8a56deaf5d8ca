// SimBlockingThread: a BlockingThread of a simulated process. What runs there runs on the one
// thread there is, in its order, at turns that the seed draws: others' turns come between.
//
// Owned by what runs in the process; goes with it.
#pragma once

#include <deque>
#include <memory>
#include <utility>

#include "io/blocking.h"
#include "sim/world/sim_process.h"
#include "sim/world/sim_random.h"
#include "sim/world/sim_world.h"

namespace onceflow::sim {

class SimBlockingThread final : public io::BlockingThread {
 public:
  explicit SimBlockingThread(SimProcess& process)
      : scheduler_(process.scheduler()), random_(process.world().random().next()) {}
  ~SimBlockingThread() override { *alive_ = false; }

  void async_run(Callback<void()> work, Callback<void()> done) override {
    jobs_.push_back({std::move(work), std::move(done)});
    if (jobs_.size() == 1) {
      run_next();
    }
  }

 private:
  struct Job {
    Callback<void()> work;
    Callback<void()> done;
  };

  // Most take a moment; some take so long that clients give up.
  void run_next() {
    const Duration longest = random_.below(200) == 0 ? seconds(8) : milliseconds(4);
    scheduler_.schedule_after(random_.between(Duration(0), longest), [this, alive = alive_] {
      if (!*alive) {
        return;
      }
      Job job = std::move(jobs_.front());
      jobs_.pop_front();
      job.work();
      if (!jobs_.empty()) {
        run_next();
      }
      scheduler_.post([alive, done = std::move(job.done)]() mutable {
        if (*alive) {
          done();
        }
      });
    });
  }

  io::Scheduler& scheduler_;
  SimRandom random_;
  std::deque<Job> jobs_;  // the first is under way
  // Outlives this object in what it has scheduled.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace onceflow::sim
