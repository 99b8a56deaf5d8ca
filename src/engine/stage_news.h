// StageNews: what a stage tells of itself: its state, where it is in its work, and one line in the
// log per change. Floods are damped (rate_limiter.h): a change that could not be told at once is
// told by tick(), as what it has come to by then.
//
// Owned by its stage; runs on the worker's thread.
#pragma once

#include <memory>
#include <string>

#include "base/log_event.h"
#include "base/rate_limiter.h"
#include "engine/stage_status.h"
#include "io/clock.h"

namespace onceflow::engine {

/// Whether a change is told in the log, too.
enum class Aloud { kYes, kNo };

class StageNews {
 public:
  StageNews(StageStatus& status, const io::Clock& clock, TellEvent tell);

  void on(StageEvent event, StageCause cause = {}, Aloud aloud = Aloud::kYes);
  /// What it is doing right now, for whoever asks why nothing moves: "committing to table 't'".
  void doing(std::string what);
  /// A line that is no change of state: a rebalance, a take-over.
  void note(LogLevel level, std::string event, std::string text);
  /// Once a second or so.
  void tick();

 private:
  void tell_if_due();
  void tell_state();

  StageStatus& status_;
  const io::Clock& clock_;
  TellEvent tell_;
  RateLimiter limiter_;
  StageState told_state_ = StageState::kStarting;
  MonotonicTime told_since_;
  bool has_untold_ = false;
};

/// "12.3 s", "4 min 10 s", "3 h 2 min", "2 d 5 h".
std::string to_text(Duration duration);

}  // namespace onceflow::engine
