// Scheduler: one thread's event loop. Whoever runs on it shares state without locks.
//
// The contract, for the real one (io/os) and the simulated one (sim/):
//  - callbacks run one at a time, never inside the call that registered them;
//  - posted callbacks run in the order they were posted;
//  - when a scheduler is destroyed (or its simulated process is killed), it first drops every
//  pending
//    callback without running it, then destroys every spawned task that has not finished.
#pragma once

#include <coroutine>
#include <cstdint>
#include <list>

#include "base/callback.h"
#include "base/task.h"
#include "io/clock.h"

namespace onceflow::io {

/// Names a timer; 0 names none. Never reused.
using TimerId = std::uint64_t;

class Scheduler : public Clock {
 public:
  /// Runs the callback soon, after what was posted before. Only from the scheduler's own thread.
  virtual void post(Callback<void()> callback) = 0;
  /// As post, from any thread. The only member that may be called from another thread.
  virtual void post_from_any_thread(Callback<void()> callback) = 0;
  /// Runs the callback at `time` or soon after.
  virtual TimerId schedule_at(MonotonicTime time, Callback<void()> callback) = 0;
  /// The callback will not run. Nothing happens if it has, or if `timer` is 0.
  virtual void cancel(TimerId timer) = 0;

  TimerId schedule_after(Duration duration, Callback<void()> callback) {
    return schedule_at(now() + duration, std::move(callback));
  }

  /// Starts the task at once (it runs up to its first suspension inside this call) and owns it
  /// until it finishes.
  void spawn(Task<void> task);

  /// co_await scheduler.sleep_for(d): suspends for at least d.
  auto sleep_until(MonotonicTime time) {
    struct Awaiter {
      Scheduler& scheduler;
      MonotonicTime time;
      bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<> awaiting) const {
        scheduler.schedule_at(time, [awaiting] { awaiting.resume(); });
      }
      void await_resume() const noexcept {}
    };
    return Awaiter{*this, time};
  }
  auto sleep_for(Duration duration) { return sleep_until(now() + duration); }
  /// co_await scheduler.yield(): lets everything posted before go first.
  auto yield() {
    struct Awaiter {
      Scheduler& scheduler;
      bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<> awaiting) const {
        scheduler.post([awaiting] { awaiting.resume(); });
      }
      void await_resume() const noexcept {}
    };
    return Awaiter{*this};
  }

 protected:
  /// For destructors: call after every pending callback has been dropped.
  void destroy_spawned_tasks() { spawned_.clear(); }

 private:
  struct Reaper;
  std::list<Task<void>> spawned_;
};

}  // namespace onceflow::io
