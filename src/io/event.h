// Event and Promise-like cells: how coroutines of one scheduler wait for one another.
#pragma once

#include <coroutine>
#include <list>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/check.h"
#include "io/scheduler.h"

namespace onceflow::io {

/// Something that may happen again and again. notify_all() wakes those that wait now; nothing is
/// remembered, so a waiter checks its condition before and after: `while (!ready) co_await
/// e.wait()`.
class Event {
 public:
  explicit Event(Scheduler& scheduler) : scheduler_(scheduler) {}
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  /// Wakes all waiters, each in a turn of the loop of its own.
  void notify_all() {
    for (const std::shared_ptr<Waiter>& waiter : std::exchange(waiters_, {})) {
      scheduler_.cancel(waiter->timer);
      wake(waiter, true);
    }
  }

  auto wait() { return Awaiter{*this, std::nullopt, nullptr}; }
  /// True if notified, false if the deadline came first.
  auto wait_until(MonotonicTime deadline) { return Awaiter{*this, deadline, nullptr}; }
  auto wait_for(Duration duration) { return wait_until(scheduler_.now() + duration); }

 private:
  struct Waiter {
    std::coroutine_handle<> awaiting;
    TimerId timer = 0;
    bool woken = false;
    bool notified = false;
  };
  struct Awaiter {
    Event& event;
    std::optional<MonotonicTime> deadline;
    // Shared between the awaiting frame, the event and the timer: any of them may go first.
    std::shared_ptr<Waiter> waiter;

    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> awaiting) {
      waiter = std::make_shared<Waiter>();
      waiter->awaiting = awaiting;
      event.waiters_.push_back(waiter);
      if (deadline) {
        waiter->timer = event.scheduler_.schedule_at(*deadline, [&e = event, w = waiter] {
          std::erase(e.waiters_, w);
          if (!w->woken) {
            w->woken = true;
            w->awaiting.resume();
          }
        });
      }
    }
    bool await_resume() const noexcept { return waiter->notified; }
  };

  void wake(const std::shared_ptr<Waiter>& waiter, bool notified) {
    if (!waiter->woken) {
      waiter->woken = true;
      waiter->notified = notified;
      scheduler_.post([waiter] { waiter->awaiting.resume(); });
    }
  }

  Scheduler& scheduler_;
  std::vector<std::shared_ptr<Waiter>> waiters_;
};

/// A value that arrives once. Any number may wait for it; it stays.
template <typename T>
class Future {
 public:
  explicit Future(Scheduler& scheduler) : event_(scheduler) {}

  bool ready() const { return value_.has_value(); }
  /// Once only.
  void set(T value) {
    CHECK(!value_.has_value());
    value_.emplace(std::move(value));
    event_.notify_all();
  }
  Task<void> wait() {
    while (!value_) {
      co_await event_.wait();
    }
  }
  /// True if the value is there, false if the deadline came first.
  Task<bool> wait_until(MonotonicTime deadline) {
    while (!value_) {
      if (!co_await event_.wait_until(deadline)) {
        break;
      }
    }
    co_return value_.has_value();
  }
  T& value() {
    CHECK(value_.has_value());
    return *value_;
  }

 private:
  Event event_;
  std::optional<T> value_;
};

/// Suspends the awaiting coroutine until the operation that `start` begins calls back with a T.
/// The bridge from the callbacks of the io contracts to coroutines.
template <typename T, typename Start>
auto await_callback(Start start) {
  struct Awaiter {
    Start start;
    std::optional<T> result;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> awaiting) {
      start([this, awaiting](T value) {
        result.emplace(std::move(value));
        awaiting.resume();
      });
    }
    T await_resume() { return std::move(*result); }
  };
  return Awaiter{std::move(start), std::nullopt};
}

}  // namespace onceflow::io
