// OsBlockingThread: a BlockingThread that is a real one. Owned by the scheduler's thread.
#pragma once

#include <memory>

#include "io/blocking.h"
#include "io/os/work_lane.h"
#include "io/scheduler.h"

namespace onceflow::io {

class OsBlockingThread final : public BlockingThread {
 public:
  /// The thread begins at once: with its first work there may be no memory for it.
  explicit OsBlockingThread(Scheduler& scheduler) : scheduler_(scheduler) {
    lane_.add([] {});
  }
  ~OsBlockingThread() override {
    lane_.shut_down();
    *alive_ = false;
  }

  void async_run(Callback<void()> work, Callback<void()> done) override {
    // Both travel together: `done` is called and destroyed on the scheduler's thread, if at all.
    auto job = std::make_shared<Job>(Job{std::move(work), std::move(done)});
    lane_.add([this, job = std::move(job)]() mutable {
      job->work();
      job->work = nullptr;
      scheduler_.post_from_any_thread([alive = alive_, job = std::move(job)] {
        if (*alive) {
          job->done();
        }
      });
    });
  }

 private:
  struct Job {
    Callback<void()> work;
    Callback<void()> done;
  };

  Scheduler& scheduler_;
  // Outlives this object in what it has posted.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  WorkLane lane_;
};

}  // namespace onceflow::io
