#include "engine/stage_state.h"

#include <algorithm>

namespace onceflow::engine {
namespace {

struct Row {
  StageState from;
  StageEvent event;
  StageState to;
};

using enum StageState;
using enum StageEvent;

// What any stage that has not ended does is in next_state().
constexpr Row kTable[] = {
    {kStarting, kTopicMissing, kWaitingForTopic},
    {kStarting, kNoPartitions, kWaitingForPartitions},
    {kStarting, kRecoveryBegins, kRecovering},
    {kStarting, kTrouble, kRetrying},

    {kWaitingForTopic, kNoPartitions, kWaitingForPartitions},
    {kWaitingForTopic, kRecoveryBegins, kRecovering},
    {kWaitingForTopic, kTrouble, kRetrying},
    {kWaitingForTopic, kFlows, kRunning},

    {kWaitingForPartitions, kTopicMissing, kWaitingForTopic},
    {kWaitingForPartitions, kRecoveryBegins, kRecovering},
    {kWaitingForPartitions, kTrouble, kRetrying},

    {kRecovering, kTopicMissing, kWaitingForTopic},
    {kRecovering, kNoPartitions, kWaitingForPartitions},
    {kRecovering, kRecovered, kRunning},
    {kRecovering, kTrouble, kRetrying},
    {kRecovering, kNoProgress, kStalled},

    {kRunning, kNoPartitions, kWaitingForPartitions},
    {kRunning, kTopicMissing, kWaitingForTopic},
    {kRunning, kRecoveryBegins, kRecovering},
    {kRunning, kTrouble, kRetrying},
    {kRunning, kInputHeld, kHeldBack},
    {kRunning, kNoProgress, kStalled},

    {kHeldBack, kFlows, kRunning},
    {kHeldBack, kNoPartitions, kWaitingForPartitions},
    {kHeldBack, kTopicMissing, kWaitingForTopic},
    {kHeldBack, kRecoveryBegins, kRecovering},
    {kHeldBack, kTrouble, kRetrying},
    {kHeldBack, kNoProgress, kStalled},

    {kStalled, kFlows, kRunning},
    {kStalled, kRecovered, kRunning},
    {kStalled, kInputHeld, kHeldBack},
    {kStalled, kRecoveryBegins, kRecovering},
    {kStalled, kNoPartitions, kWaitingForPartitions},
    {kStalled, kTopicMissing, kWaitingForTopic},
    {kStalled, kTrouble, kRetrying},

    {kRetrying, kFlows, kRunning},
    {kRetrying, kRecovered, kRunning},
    {kRetrying, kInputHeld, kHeldBack},
    {kRetrying, kNoProgress, kStalled},
    {kRetrying, kNoPartitions, kWaitingForPartitions},
    {kRetrying, kTopicMissing, kWaitingForTopic},
};

}  // namespace

const char* to_string(StageState state) {
  switch (state) {
    case kStarting:
      return "starting";
    case kWaitingForTopic:
      return "waiting for topic";
    case kWaitingForPartitions:
      return "waiting for partitions";
    case kRecovering:
      return "recovering";
    case kRunning:
      return "running";
    case kHeldBack:
      return "held back";
    case kStalled:
      return "stalled";
    case kRetrying:
      return "retrying";
    case kStopping:
      return "stopping";
    case kStopped:
      return "stopped";
    case kFailed:
      return "failed";
  }
  return "unknown";
}

StageState next_state(StageState state, StageEvent event) {
  if (state == kStopped || state == kFailed) {
    return state;
  }
  switch (event) {
    case kFailedForGood:
      return kFailed;
    case kEnded:
      return kStopped;
    case kStopAsked:
      return kStopping;
    default:
      break;
  }
  const auto row = std::ranges::find_if(
      kTable, [&](const Row& one) { return one.from == state && one.event == event; });
  return row == std::ranges::end(kTable) ? state : row->to;
}

bool StageLife::on(StageEvent event, StageCause cause, MonotonicTime now) {
  const StageState next = next_state(state_, event);
  // A state that the event does not lead to keeps its own cause.
  const bool is_about_this_state = next != state_ || (event == kTrouble && next == kRetrying) ||
                                   (event == kTopicMissing && next == kWaitingForTopic) ||
                                   (event == kNoPartitions && next == kWaitingForPartitions) ||
                                   (event == kInputHeld && next == kHeldBack) ||
                                   (event == kNoProgress && next == kStalled) ||
                                   (event == kRecoveryBegins && next == kRecovering);
  if (!is_about_this_state) {
    return false;
  }
  const bool is_new = next != state_;
  if (is_new) {
    state_ = next;
    since_ = now;
    trouble_count_ = 0;
  }
  trouble_count_ += event == kTrouble ? 1 : 0;
  const bool is_told = is_new || cause != cause_;
  cause_ = std::move(cause);
  return is_told;
}

}  // namespace onceflow::engine
