// WorkLane: one thread that does jobs which block, in the order they came; or several, which begin
// them in that order. Owned by one scheduler's thread; jobs give their results back through
// post_from_any_thread.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "base/callback.h"

namespace onceflow::io {

class WorkLane {
 public:
  explicit WorkLane(std::size_t thread_count_max = 1) : thread_count_max_(thread_count_max) {}
  ~WorkLane() { shut_down(); }
  WorkLane(const WorkLane&) = delete;
  WorkLane& operator=(const WorkLane&) = delete;

  /// A thread starts when there is none to take the job. Nothing happens after shut_down.
  void add(Callback<void()> job);
  /// There has been a job. On the owner's thread.
  bool is_used() const { return !threads_.empty(); }
  /// Waits for the jobs that are running; the others are dropped.
  void shut_down();

 private:
  void run();

  const std::size_t thread_count_max_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Callback<void()>> jobs_;  // guarded by mutex_
  std::size_t idle_count_ = 0;         // guarded by mutex_
  bool stopping_ = false;              // guarded by mutex_
  std::vector<std::thread> threads_;
};

}  // namespace onceflow::io
