#include "engine/stage_status.h"

#include <algorithm>

namespace onceflow::engine {

std::optional<std::int64_t> StageStatus::Position::lag() const {
  if (committed == kNoOffset || end == kNoOffset) {
    return std::nullopt;
  }
  return std::max<std::int64_t>(0, end - committed);
}

std::optional<std::int64_t> StageStatus::Position::held_back() const {
  if (end == kNoOffset || last_stable == kNoOffset) {
    return std::nullopt;
  }
  return std::max<std::int64_t>(0, end - last_stable);
}

std::optional<std::int64_t> StageStatus::lag() const {
  if (positions.empty()) {
    return std::nullopt;
  }
  std::int64_t sum = 0;
  for (const auto& [source, position] : positions) {
    const auto lag = position.lag();
    if (!lag) {
      return std::nullopt;
    }
    sum += *lag;
  }
  return sum;
}

}  // namespace onceflow::engine
