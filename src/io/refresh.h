// Refresh: keeps what is shown of somebody else as fresh as it is asked for. However many ask, one
// question is on its way at a time, and no more often than kSpacing allows; those that asked before
// it was sent share its answer. Owned by those who ask, on their scheduler; who answers may be on
// another thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>
#include <utility>

#include "base/task.h"
#include "base/time.h"
#include "io/event.h"
#include "io/scheduler.h"

namespace onceflow::io {

class Refresh {
 public:
  static constexpr Duration kSpacing = milliseconds(20);

  /// `ask` sends the question; answered() is called when the answer has come, on this scheduler. A
  /// question that is never answered is the last one.
  Refresh(Scheduler& scheduler, std::function<void()> ask)
      : scheduler_(scheduler), ask_(std::move(ask)), changed_(scheduler) {}

  /// True: an answer has come to a question that was sent after this call. False: none within
  /// `patience`.
  Task<bool> refresh(Duration patience) {
    const MonotonicTime deadline = scheduler_.now() + patience;
    const std::uint64_t needed = asked_count_ + 1;  // one on its way may have been read already
    while (answered_count_ < needed) {
      const MonotonicTime now = scheduler_.now();
      const bool is_asking = asked_count_ > answered_count_;
      const MonotonicTime free_at = asked_at_ ? *asked_at_ + kSpacing : now;
      if (!is_asking && free_at <= now) {
        ++asked_count_;
        asked_at_ = now;
        ask_();
        continue;  // on one scheduler it may be answered by now
      }
      if (now >= deadline) {
        co_return false;
      }
      co_await changed_.wait_until(is_asking ? deadline : std::min(deadline, free_at));
    }
    co_return true;
  }

  void answered() {
    answered_count_ = asked_count_;
    answered_at_ = scheduler_.now();
    changed_.notify_all();
  }
  /// When the last answer came; none: never.
  std::optional<MonotonicTime> answered_at() const { return answered_at_; }

 private:
  Scheduler& scheduler_;
  std::function<void()> ask_;
  Event changed_;
  std::uint64_t asked_count_ = 0;
  std::uint64_t answered_count_ = 0;
  std::optional<MonotonicTime> asked_at_;
  std::optional<MonotonicTime> answered_at_;
};

}  // namespace onceflow::io
