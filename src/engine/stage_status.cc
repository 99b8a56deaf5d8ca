#include "engine/stage_status.h"

namespace onceflow::engine {

const char* to_string(StageStatus::State state) {
  switch (state) {
    case StageStatus::State::kStarting:
      return "starting";
    case StageStatus::State::kWaitingForPartitions:
      return "waiting for partitions";
    case StageStatus::State::kRecovering:
      return "recovering";
    case StageStatus::State::kRunning:
      return "running";
    case StageStatus::State::kStopped:
      return "stopped";
    case StageStatus::State::kFailed:
      return "failed";
  }
  return "unknown";
}

}  // namespace onceflow::engine
