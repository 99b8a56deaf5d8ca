// StatusMirror: the watcher's copy of what a broker would show: offsets and size of each partition,
// and where each group stands. Built from what a StatusFeed tells, in the order in which it is
// told. Owned by the watcher, on its thread; every reader of it is on that thread, too.
//
// A reader that is interrupted (a page that is sent in pieces) goes on after the last name that it
// has shown, so that what comes and goes meanwhile neither repeats nor hides anything else.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/ids.h"
#include "broker/status_feed.h"

namespace onceflow::broker {

struct MirroredPartition {
  std::int64_t log_start_offset = 0;
  std::int64_t high_watermark = 0;
  std::int64_t last_stable_offset = 0;
  std::uint64_t size_bytes = 0;

  std::int64_t held_back() const { return high_watermark - last_stable_offset; }
};

/// From a committed offset to the last stable one.
inline std::int64_t lag(const MirroredPartition& partition, std::int64_t committed_offset) {
  return std::max<std::int64_t>(0, partition.last_stable_offset - committed_offset);
}

struct MirroredTopic {
  std::string name;
  std::vector<MirroredPartition> partitions;
};

struct MirroredGroup {
  std::string state;
  std::size_t member_count = 0;
  std::map<TopicIdPartition, std::int64_t> offsets;  ///< the committed ones
};

class StatusMirror {
 public:
  void apply(StatusNews&& news);

  using Topics = std::map<std::string, TopicId, std::less<>>;
  using Groups = std::map<std::string, MirroredGroup, std::less<>>;
  const Topics& topics() const { return topics_; }
  const MirroredTopic& topic(const TopicId& id) const { return by_id_.at(id); }
  std::size_t partition_count() const { return partition_count_; }
  const Groups& groups() const { return groups_; }
  /// nullptr if there is no such partition any more.
  const MirroredPartition* find(const TopicIdPartition& partition, std::string_view& topic) const;

 private:
  void apply(const log::TopicNews& news);
  void apply(const coordinator::GroupNews& news);

  Topics topics_;
  std::unordered_map<TopicId, MirroredTopic> by_id_;
  std::size_t partition_count_ = 0;
  Groups groups_;
};

}  // namespace onceflow::broker
