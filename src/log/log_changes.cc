#include "log/log_changes.h"

#include <iterator>
#include <utility>

namespace onceflow::log {

namespace {
// Below this the lists are not tidied.
constexpr std::size_t kNotedMin = 10'000;
}  // namespace

void LogChanges::watch(const Topics& topics) {
  is_watched_ = true;
  is_anew_ = true;
  topics_.clear();
  taken_topics_.clear();
  next_topic_ = 0;
  next_partition_ = 0;
  for (const auto& [name, topic] : topics.by_name()) {
    taken_topics_.push_back(topic->id);
  }
}

void LogChanges::note_topic(const TopicId& id, const Topics& topics) {
  if (!is_watched_) {
    return;
  }
  topics_.push_back(id);
  // Nothing takes, and topics come and go.
  if (topics_.size() > 2 * topics.by_name().size() + kNotedMin) {
    watch(topics);
  }
  if (partitions_.size() > 2 * topics.partition_count() + kNotedMin) {
    std::erase_if(partitions_, [&](const TopicIdPartition& partition) {
      return topics.find(partition) == nullptr;
    });
  }
}

void LogChanges::begin() {
  taken_topics_.erase(taken_topics_.begin(),
                      taken_topics_.begin() + static_cast<std::ptrdiff_t>(next_topic_));
  next_topic_ = 0;
  std::ranges::move(std::exchange(topics_, {}), std::back_inserter(taken_topics_));
  std::ranges::move(std::exchange(partitions_, {}), std::back_inserter(taken_partitions_));
}

PartitionNews LogChanges::news_of(const Partition& partition) {
  return {.id = partition.id(),
          .log_start_offset = partition.log_start_offset(),
          .high_watermark = partition.high_watermark(),
          .last_stable_offset = partition.last_stable_offset(),
          .size_bytes = partition.size_bytes()};
}

LogNews LogChanges::take(const Topics& topics, std::size_t count_max) {
  LogNews news{.is_anew = std::exchange(is_anew_, false), .topics = {}, .partitions = {}};
  std::size_t left = count_max;
  while (left > 0 && next_topic_ < taken_topics_.size()) {
    const TopicId& id = taken_topics_[next_topic_];
    const Topic* const topic = topics.find(id);
    if (topic == nullptr || next_partition_ == 0) {
      --left;
      news.topics.push_back(
          {.id = id,
           .name = topic == nullptr ? std::string() : topic->name,
           .partition_count =
               topic == nullptr ? 0 : static_cast<std::int32_t>(topic->partitions.size())});
    }
    for (; topic != nullptr && left > 0 && next_partition_ < topic->partitions.size();
         ++next_partition_, --left) {
      const Partition& partition = *topic->partitions[next_partition_];
      if (partition.high_watermark() > Offset(0)) {
        news.partitions.push_back(news_of(partition));
      }
    }
    if (topic == nullptr || next_partition_ == topic->partitions.size()) {
      ++next_topic_;
      next_partition_ = 0;
    }
  }
  for (; left > 0 && !taken_partitions_.empty(); --left, taken_partitions_.pop_back()) {
    if (Partition* const partition = topics.find(taken_partitions_.back())) {
      partition->is_noted_ = false;
      news.partitions.push_back(news_of(*partition));
    }
  }
  return news;
}

}  // namespace onceflow::log
