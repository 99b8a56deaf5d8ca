// StageState: which state a stage is in, and what moves it: a pure machine, driven by one table.
// What is shown (the lines of the log, /status, /metrics) is this and nothing else.
//
// A stage that tries again after trouble stays `retrying` through all attempts until it works
// again: the tries are counted, not told one by one. A row that the table lacks changes nothing.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "base/time.h"

namespace onceflow::engine {

enum class StageState : std::uint8_t {
  kStarting,
  kWaitingForTopic,       ///< a source topic does not exist
  kWaitingForPartitions,  ///< the group has not given it any, or others hold them all
  kRecovering,            ///< taking over, reading committed positions, restoring state
  kRunning,
  kHeldBack,  ///< reads all that is readable; a foreign open transaction hides the rest
  kStalled,   ///< there is input, and nothing has moved for long
  kRetrying,  ///< something is in the way that may pass by itself
  kStopping,
  kStopped,
  kFailed,  ///< for good
};
inline constexpr std::size_t kStageStateCount = 11;

enum class StageEvent : std::uint8_t {
  kTopicMissing,
  kNoPartitions,
  kRecoveryBegins,
  kRecovered,
  kTrouble,  ///< an error after which it tries again
  kInputHeld,
  kNoProgress,
  kFlows,  ///< there is progress, or nothing to do, and nothing in the way
  kStopAsked,
  kEnded,
  kFailedForGood,
};
inline constexpr std::size_t kStageEventCount = 11;

/// The words of /status, /metrics and the log.
const char* to_string(StageState state);

/// Pure: the state after the event; the same state where the event means nothing.
StageState next_state(StageState state, StageEvent event);

/// Why a stage is where it is; empty where the state says all.
struct StageCause {
  std::string what;
  std::string remedy;  ///< what to do about it; may be empty
  friend bool operator==(const StageCause&, const StageCause&) = default;
};

/// A stage's state with its age and cause.
class StageLife {
 public:
  explicit StageLife(MonotonicTime now) : since_(now) {}

  /// True: the state is another, or its cause is; false: it is as it was (an attempt more,
  /// perhaps).
  bool on(StageEvent event, StageCause cause, MonotonicTime now);

  StageState state() const { return state_; }
  MonotonicTime since() const { return since_; }
  const StageCause& cause() const { return cause_; }
  /// How often kTrouble has come in the present state.
  std::uint64_t trouble_count() const { return trouble_count_; }

 private:
  StageState state_ = StageState::kStarting;
  MonotonicTime since_;
  StageCause cause_;
  std::uint64_t trouble_count_ = 0;
};

}  // namespace onceflow::engine
