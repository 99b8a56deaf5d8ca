// Slices: the part of a turn of the loop that is for requests which name very much, one for all of
// them together: a hundred such requests take no more of a turn than one, and have theirs one after
// the other. Owned by BrokerCore, on the broker's thread.
#pragma once

#include <coroutine>
#include <cstddef>
#include <deque>
#include <utility>

#include "io/scheduler.h"

namespace onceflow::broker {

class Slices {
 public:
  Slices(io::Scheduler& scheduler, Duration length) : scheduler_(scheduler), length_(length) {}
  Slices(const Slices&) = delete;
  Slices& operator=(const Slices&) = delete;

  /// co_await slices.begin(): in a later turn, after all that wait already.
  auto begin() { return Awaiter{*this, false}; }
  /// co_await slices.rest(): goes on at once while this turn's slice lasts; else as begin().
  auto rest() { return Awaiter{*this, is_running_ && !is_over()}; }

 private:
  struct Awaiter {
    Slices& slices;
    bool goes_on;
    bool await_ready() const noexcept { return goes_on; }
    void await_suspend(std::coroutine_handle<> awaiting) const {
      slices.waiting_.push_back(awaiting);
      slices.post();
    }
    void await_resume() const noexcept {}
  };

  bool is_over() const { return scheduler_.now() - begun_ >= length_; }
  void post() {
    if (!waiting_.empty() && !std::exchange(is_posted_, true)) {
      scheduler_.post([this] { run(); });
    }
  }
  void run() {
    is_posted_ = false;
    is_running_ = true;
    begun_ = scheduler_.now();
    // At least one; those that come back meanwhile go on in a later turn.
    std::size_t left = waiting_.size();
    do {
      const std::coroutine_handle<> next = waiting_.front();
      waiting_.pop_front();
      next.resume();
    } while (--left > 0 && !is_over());
    is_running_ = false;
    post();
  }

  io::Scheduler& scheduler_;
  const Duration length_;
  std::deque<std::coroutine_handle<>> waiting_;
  bool is_posted_ = false;
  bool is_running_ = false;
  MonotonicTime begun_{};
};

}  // namespace onceflow::broker
