#include "log/topics.h"

#include <algorithm>

#include "base/check.h"

namespace onceflow::log {

namespace {
std::string normal_name(std::string_view name) {
  std::string normal(name);
  std::ranges::replace(normal, '.', '_');
  return normal;
}
}  // namespace

Topic* Topics::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : found->second.get();
}

Topic* Topics::find(const TopicId& id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : found->second;
}

namespace {
Partition* partition_of(const Topic* topic, PartitionIndex partition) {
  if (topic == nullptr || partition.value < 0 ||
      static_cast<std::size_t>(partition.value) >= topic->partitions.size()) {
    return nullptr;
  }
  return topic->partitions[static_cast<std::size_t>(partition.value)].get();
}
}  // namespace

Partition* Topics::find(std::string_view name, PartitionIndex partition) const {
  return partition_of(find(name), partition);
}

Partition* Topics::find(const TopicIdPartition& partition) const {
  return partition_of(find(partition.topic_id), partition.partition);
}

Topic& Topics::add(std::unique_ptr<Topic> topic) {
  Topic& added = *topic;
  CHECK(!by_name_.contains(added.name) && !by_id_.contains(added.id));
  by_id_.emplace(added.id, &added);
  by_normal_name_.emplace(normal_name(added.name), added.name);
  partition_count_ += added.partitions.size();
  name_bytes_ += added.name.size();
  config_bytes_ += bytes_of(added.overrides);
  by_name_.emplace(added.name, std::move(topic));
  return added;
}

std::unique_ptr<Topic> Topics::remove(const TopicId& id) {
  const auto found = by_id_.find(id);
  CHECK(found != by_id_.end());
  const auto place = by_name_.find(found->second->name);
  std::unique_ptr<Topic> removed = std::move(place->second);
  by_name_.erase(place);
  by_id_.erase(found);
  by_normal_name_.erase(normal_name(removed->name));
  partition_count_ -= removed->partitions.size();
  name_bytes_ -= removed->name.size();
  config_bytes_ -= bytes_of(removed->overrides);
  return removed;
}

void Topics::configure(Topic& topic, const TopicConfig& config, TopicConfigOverrides overrides) {
  config_bytes_ += bytes_of(overrides);
  config_bytes_ -= bytes_of(topic.overrides);
  topic.config = config;
  topic.overrides = std::move(overrides);
}

const std::string* Topics::find_colliding(std::string_view name) const {
  const auto found = by_normal_name_.find(normal_name(name));
  return found == by_normal_name_.end() ? nullptr : &found->second;
}

}  // namespace onceflow::log
