// Topics: the catalogue of what exists. Owned by the Log, on its thread; changed through Log only,
// so that every change is in the journal. A topic re-created under an old name has another id and
// shares nothing with the old one.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/ids.h"
#include "log/partition.h"
#include "log/topic_config.h"

namespace onceflow::log {

struct Topic {
  TopicId id;
  std::string name;
  TopicConfig config;
  TopicConfigOverrides overrides;
  std::vector<std::unique_ptr<Partition>> partitions;  // by index
};

class Topics {
 public:
  /// nullptr if there is none.
  Topic* find(std::string_view name) const;
  Topic* find(const TopicId& id) const;
  Partition* find(std::string_view name, PartitionIndex partition) const;
  Partition* find(const TopicIdPartition& partition) const;
  /// By name.
  const std::map<std::string, std::unique_ptr<Topic>, std::less<>>& by_name() const {
    return by_name_;
  }
  std::size_t partition_count() const { return partition_count_; }
  /// Of all names together.
  std::size_t name_bytes() const { return name_bytes_; }
  /// What is set on all topics.
  std::size_t config_bytes() const { return config_bytes_; }

 private:
  friend class Log;
  friend class LogState;
  friend class Recovery;
  friend class CheckpointCodec;
  friend class SalvageTarget;

  Topic& add(std::unique_ptr<Topic> topic);
  std::unique_ptr<Topic> remove(const TopicId& id);
  void configure(Topic& topic, const TopicConfig& config, TopicConfigOverrides overrides);
  void count_partitions(std::size_t added) { partition_count_ += added; }
  /// Kafka's rule: names that differ only in '.' and '_' collide (in metric names).
  const std::string* find_colliding(std::string_view name) const;

  std::map<std::string, std::unique_ptr<Topic>, std::less<>> by_name_;
  std::unordered_map<TopicId, Topic*> by_id_;
  std::unordered_map<std::string, std::string> by_normal_name_;
  std::size_t partition_count_ = 0;
  std::size_t name_bytes_ = 0;
  std::size_t config_bytes_ = 0;
};

}  // namespace onceflow::log
