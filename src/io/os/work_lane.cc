#include "io/os/work_lane.h"

#include <csignal>
#include <utility>

namespace onceflow::io {

void WorkLane::add(Callback<void()> job) {
  const std::lock_guard lock(mutex_);
  if (stopping_) {
    return;
  }
  jobs_.push_back(std::move(job));
  if (jobs_.size() > idle_count_ && threads_.size() < thread_count_max_) {
    // Signals are for the thread of the loop.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    threads_.emplace_back([this] { run(); });
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
  changed_.notify_one();
}

void WorkLane::shut_down() {
  std::deque<Callback<void()>> dropped;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    dropped.swap(jobs_);
    changed_.notify_all();
  }
  for (std::thread& thread : threads_) {
    if (thread.joinable()) {
      thread.join();
    }
  }
}

void WorkLane::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    ++idle_count_;
    changed_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
    --idle_count_;
    if (stopping_) {
      return;
    }
    Callback<void()> job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job();
    job = nullptr;
    lock.lock();
  }
}

}  // namespace onceflow::io
