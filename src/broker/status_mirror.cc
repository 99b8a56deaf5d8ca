#include "broker/status_mirror.h"

#include <utility>

namespace onceflow::broker {

void StatusMirror::apply(StatusNews&& news) {
  if (news.log.is_anew) {
    topics_.clear();
    by_id_.clear();
    partition_count_ = 0;
  }
  for (const log::TopicNews& topic : news.log.topics) {
    apply(topic);
  }
  for (const log::PartitionNews& told : news.log.partitions) {
    const auto topic = by_id_.find(told.id.topic_id);
    if (topic != by_id_.end()) {
      topic->second.partitions.at(static_cast<std::size_t>(told.id.partition.value)) = {
          .log_start_offset = told.log_start_offset.value,
          .high_watermark = told.high_watermark.value,
          .last_stable_offset = told.last_stable_offset.value,
          .size_bytes = told.size_bytes};
    }
  }
  if (news.groups.is_anew) {
    groups_.clear();
  }
  for (const coordinator::GroupNews& group : news.groups.groups) {
    apply(group);
  }
}

void StatusMirror::apply(const log::TopicNews& news) {
  const auto known = by_id_.find(news.id);
  if (known != by_id_.end()) {
    partition_count_ -= known->second.partitions.size();
  }
  if (news.partition_count == 0) {
    if (known != by_id_.end()) {
      topics_.erase(known->second.name);
      by_id_.erase(known);
    }
    return;
  }
  MirroredTopic& topic = known == by_id_.end() ? by_id_[news.id] : known->second;
  topic.name = news.name;
  topic.partitions.resize(static_cast<std::size_t>(news.partition_count));
  partition_count_ += topic.partitions.size();
  topics_.insert_or_assign(news.name, news.id);
}

void StatusMirror::apply(const coordinator::GroupNews& news) {
  if (news.is_gone) {
    groups_.erase(news.group_id);
    return;
  }
  MirroredGroup& group = groups_[news.group_id];
  group.state = news.state;
  group.member_count = news.member_count;
  if (news.offsets.is_anew) {
    group.offsets.clear();
  }
  for (const auto& [partition, offset] : news.offsets.offsets) {
    if (offset == kNoOffset) {
      group.offsets.erase(partition);
    } else {
      group.offsets.insert_or_assign(partition, offset.value);
    }
  }
}

const MirroredPartition* StatusMirror::find(const TopicIdPartition& partition,
                                            std::string_view& topic) const {
  const auto found = by_id_.find(partition.topic_id);
  if (found == by_id_.end() || partition.partition.value < 0 ||
      static_cast<std::size_t>(partition.partition.value) >= found->second.partitions.size()) {
    return nullptr;
  }
  topic = found->second.name;
  return &found->second.partitions[static_cast<std::size_t>(partition.partition.value)];
}

}  // namespace onceflow::broker
