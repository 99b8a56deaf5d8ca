// WorkLane: one thread that does jobs which block, in the order they came. Owned by one scheduler's
// thread; jobs give their results back through post_from_any_thread.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "base/callback.h"

namespace onceflow::io {

class WorkLane {
 public:
  WorkLane() = default;
  ~WorkLane() { shut_down(); }
  WorkLane(const WorkLane&) = delete;
  WorkLane& operator=(const WorkLane&) = delete;

  /// The thread starts with the first job. Nothing happens after shut_down.
  void add(Callback<void()> job);
  /// There has been a job. On the owner's thread.
  bool is_used() const { return thread_.joinable(); }
  /// Waits for the job that is running; the others are dropped.
  void shut_down();

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Callback<void()>> jobs_;  // guarded by mutex_
  bool stopping_ = false;              // guarded by mutex_
  std::thread thread_;
};

}  // namespace onceflow::io
