// LogChanges: which topics and partitions a watcher of the log has not been told of yet. Owned by
// LogState, on the log's thread.
//
// What is kept is which, not what: values are read when they are taken, so a watcher never hears of
// an older one after a newer one. Noting costs a look at a flag, taking is done in pieces of a
// bounded size, and nothing is computed over all that there is.
//
// Bounds: a partition is in the list once (its flag says so), and what is left of deleted topics is
// tidied away. A topic may be there more often; if that comes to more than twice as many as there
// are, all is told anew.
//
// States: unwatched -> watched (watch()); within it taking (begin()) until take() has given all.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "log/topics.h"

namespace onceflow::log {

struct TopicNews {
  TopicId id;
  std::string name;
  std::int32_t partition_count = 0;  ///< 0: it is gone
};

struct PartitionNews {
  TopicIdPartition id;
  Offset log_start_offset{0};
  Offset high_watermark{0};
  Offset last_stable_offset{0};
  std::uint64_t size_bytes = 0;
};

/// A piece of what has changed: topics in the order of their changes, before their partitions. A
/// partition of which nothing was ever told is empty.
struct LogNews {
  bool is_anew = false;  ///< all that was told before is void
  std::vector<TopicNews> topics;
  std::vector<PartitionNews> partitions;
};

class LogChanges {
 public:
  /// From now on changes are noted; all that there is counts as changed.
  void watch(const Topics& topics);

  /// The offsets or the size of a partition.
  void note(Partition& partition) {
    if (is_watched_ && !std::exchange(partition.is_noted_, true)) {
      partitions_.push_back(partition.id());
    }
  }
  /// A topic has come, has got more partitions, or is gone.
  void note_topic(const TopicId& id, const Topics& topics);

  /// What take() gives from now on: all that is noted at this time.
  void begin();
  bool has_more() const { return next_topic_ < taken_topics_.size() || !taken_partitions_.empty(); }
  /// At most about `count_max` topics and partitions.
  LogNews take(const Topics& topics, std::size_t count_max);

 private:
  static PartitionNews news_of(const Partition& partition);

  bool is_watched_ = false;
  bool is_anew_ = false;
  std::vector<TopicId> topics_;
  std::vector<TopicIdPartition> partitions_;
  // What is being taken: a topic with all of its partitions, one after another.
  std::vector<TopicId> taken_topics_;
  std::size_t next_topic_ = 0;
  std::size_t next_partition_ = 0;
  std::vector<TopicIdPartition> taken_partitions_;
};

}  // namespace onceflow::log
