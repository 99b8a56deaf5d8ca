#include "engine/input_watch.h"

namespace onceflow::engine {

InputWatch::Verdict InputWatch::look(std::span<const Partition> partitions, std::uint64_t progress,
                                     MonotonicTime now) {
  Verdict verdict;
  std::map<TopicPartition, Hold> holds;
  bool has_input = false;
  for (const Partition& one : partitions) {
    if (one.last_stable == kNoOffset || one.end == kNoOffset) {
      continue;
    }
    has_input = has_input || one.committed < one.last_stable;
    if (one.position < one.last_stable || one.last_stable >= one.end) {
      continue;
    }
    const auto known = holds_.find(one.source);
    const bool is_known = known != holds_.end() && known->second.first_offset == one.last_stable;
    const Hold hold = is_known ? known->second : Hold{one.last_stable, now};
    holds.emplace(one.source, hold);
    if (now - hold.since >= held_after_) {
      verdict.held.push_back(
          {one.source, hold.first_offset, one.end - one.last_stable, hold.since});
    }
  }
  holds_ = std::move(holds);
  if (!has_input || progress_ != progress) {
    progress_ = progress;
    moved_at_ = now;
  } else if (now - moved_at_ >= stands_after_) {
    verdict.stands_since = moved_at_;
  }
  return verdict;
}

}  // namespace onceflow::engine
