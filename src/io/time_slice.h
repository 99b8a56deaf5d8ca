// TimeSlice: how long a piece of work keeps its loop before heartbeats, answers and whoever asks
// for the status get their turn. Work of any length is a loop of small steps with `co_await
// slice.rest()` between them, so that it is cut by time, not by what arrived.
//
// Owned by the coroutine that works, or by what it belongs to.
#pragma once

#include "io/scheduler.h"

namespace onceflow::io {

/// A few of these in a row still answer a probe at once.
inline constexpr Duration kSliceLength = milliseconds(3);

class TimeSlice {
 public:
  explicit TimeSlice(Scheduler& scheduler, Duration length = kSliceLength)
      : scheduler_(scheduler), length_(length), begun_(scheduler.now()) {}

  bool is_over() const { return scheduler_.now() - begun_ >= length_; }

  /// co_await slice.rest(): goes on at once while the slice lasts. Once it is over, everything that
  /// waits for the loop goes first, sockets and timers too, and the next slice begins.
  auto rest() {
    struct Awaiter {
      TimeSlice& slice;
      bool await_ready() const { return !slice.is_over(); }
      void await_suspend(std::coroutine_handle<> awaiting) const {
        slice.scheduler_.post([&slice = slice, awaiting] {
          slice.begun_ = slice.scheduler_.now();
          awaiting.resume();
        });
      }
      void await_resume() const noexcept {}
    };
    return Awaiter{*this};
  }

 private:
  Scheduler& scheduler_;
  Duration length_;
  MonotonicTime begun_;
};

}  // namespace onceflow::io
