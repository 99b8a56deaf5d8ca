#include "log/salvaged_catalogue.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/topic_id_text.h"
#include "log/format.h"
#include "log/salvaged_segment.h"
#include "protocol/record_batch.h"

namespace onceflow::log {

namespace {
constexpr std::size_t kSamplesMax = 4;
constexpr std::int32_t kPartitionsMax = 100'000;  // of a folder's name, which anything may have
}  // namespace

void SalvagedCatalogue::add(const Topic& topic) {
  topics_[topic.id] = {topic.id, topic.name, static_cast<std::int32_t>(topic.partitions.size()),
                       topic.overrides};
  for (const auto& partition : topic.partitions) {
    log_starts_[partition->id()] = partition->log_start_offset();
  }
}

Offset SalvagedCatalogue::log_start(const TopicIdPartition& partition) const {
  const auto found = log_starts_.find(partition);
  return found == log_starts_.end() ? Offset(0) : found->second;
}

void SalvagedCatalogue::read(const JournalEntry& entry) {
  switch (entry.type) {
    case EntryType::kTopicCreated:
      if (auto topic = decode_topic_entry(entry.body); topic && topic->partition_count > 0) {
        created_at_[topic->id] = entry.end;
        const auto id = topic->id;
        topics_.emplace(id, *std::move(topic));
      }
      break;
    case EntryType::kTopicDeleted:
      if (const auto id = decode_topic_deleted(entry.body)) {
        topics_.erase(*id);
        deleted_.insert(*id);
      }
      break;
    case EntryType::kPartitionsAdded:
      if (const auto added = decode_partitions_added(entry.body);
          added && topics_.contains(added->id)) {
        std::int32_t& count = topics_[added->id].partition_count;
        count = std::max(count, added->partition_count);
      }
      break;
    case EntryType::kTopicConfigured:
      if (auto configured = decode_topic_configured(entry.body);
          configured && topics_.contains(configured->id)) {
        topics_[configured->id].overrides = std::move(configured->overrides);
      }
      break;
    case EntryType::kLogStartMoved:
      if (const auto moved = decode_log_start(entry.body)) {
        Offset& start = log_starts_[moved->partition];
        start = std::max(start, moved->offset);
      }
      break;
    case EntryType::kBatch:
      if (const auto batch = decode_batch_entry(entry.body)) {
        note_batch(*batch);
      }
      break;
    case EntryType::kEndTransaction:
    case EntryType::kRecord:
      break;
  }
}

// Ids of topics that nothing names, and a batch of each by which its folder may be known.
void SalvagedCatalogue::note_batch(const BatchEntry& entry) {
  const TopicId& id = entry.partition.topic_id;
  const auto header = protocol::RecordBatchHeader::parse(entry.batch);
  if (!header || topics_.contains(id) || deleted_.contains(id) ||
      entry.partition.partition.value < 0 || entry.partition.partition.value >= kPartitionsMax) {
    return;
  }
  Nameless& nameless = nameless_[id];
  nameless.partition_count =
      std::max(nameless.partition_count, entry.partition.partition.value + 1);
  if (nameless.samples.size() < kSamplesMax) {
    nameless.samples.push_back(
        {entry.partition.partition, header->base_offset, to_buffer(entry.batch)});
  }
}

Result<SalvagedCatalogue::Folders> SalvagedCatalogue::read_folders() {
  Folders folders;
  const auto exists = disk_.exists(topics_directory_);
  RETURN_IF_ERROR(exists);
  if (!*exists) {
    return folders;
  }
  const auto entries = disk_.list(topics_directory_);
  RETURN_IF_ERROR(entries);
  for (const io::DirectoryEntry& entry : *entries) {
    const auto folder = parse_partition_directory_name(entry.name);
    if (entry.is_directory && folder && folder->partition.value < kPartitionsMax &&
        check_topic_name(folder->topic)) {
      std::int32_t& count = folders[folder->topic];
      count = std::max(count, folder->partition.value + 1);
    }
  }
  return folders;
}

Status SalvagedCatalogue::complete(const Knowledge& knowledge) {
  auto folders = read_folders();
  RETURN_IF_ERROR(folders);
  if (!knowledge.has_checkpoint) {
    // Old frames tell of topics whose deletion can no longer be read: without files they are gone.
    std::erase_if(topics_, [&](const auto& known) {
      return created_at_[known.first] < knowledge.known_from &&
             !folders->contains(known.second.name);
    });
  }
  for (const auto& [id, topic] : topics_) {
    folders->erase(topic.name);
  }
  if (knowledge.has_checkpoint && knowledge.is_whole_journal) {
    folders->clear();  // of topics that have been deleted
  }
  for (const auto& [name, partition_count] : *folders) {
    RETURN_IF_ERROR(add_topic_of_folder(name, partition_count));
  }
  for (const auto& [id, nameless] : nameless_) {
    std::string name = "salvaged-" + to_text(id);
    lost_states_.push_back(fmt::format(
        "the name and the configuration of topic {} are lost: it is {} now", to_text(id), name));
    topics_[id] = {id, std::move(name), nameless.partition_count, {}};
  }
  return {};
}

Status SalvagedCatalogue::add_topic_of_folder(const std::string& name,
                                              std::int32_t partition_count) {
  TopicEntry topic{
      .id = random_.uuid(), .name = name, .partition_count = partition_count, .overrides = {}};
  bool has_id = false;
  for (const auto& [id, nameless] : nameless_) {
    const auto is_it = holds_sample(name, nameless);
    RETURN_IF_ERROR(is_it);
    if (*is_it) {
      topic.id = id;
      topic.partition_count = std::max(partition_count, nameless.partition_count);
      nameless_.erase(id);
      has_id = true;
      break;
    }
  }
  lost_states_.push_back(fmt::format(
      "topic {}: its configuration{} lost, and so is how many partitions it had; {} have files",
      name, has_id ? " is" : fmt::format(" and its id are (it is {} now)", to_text(topic.id)),
      topic.partition_count));
  topics_[topic.id] = std::move(topic);
  return {};
}

Result<bool> SalvagedCatalogue::holds_sample(const std::string& topic, const Nameless& nameless) {
  for (const Sample& sample : nameless.samples) {
    const auto bases = segment_bases(topic, sample.partition);
    RETURN_IF_ERROR(bases);
    const auto behind = std::ranges::upper_bound(*bases, sample.base_offset);
    if (behind == bases->begin()) {
      continue;
    }
    auto segment =
        SalvagedSegment::open(disk_, segment_path(topic, sample.partition, *std::prev(behind)));
    RETURN_IF_ERROR(segment);
    for (Offset expected(0);;) {
      const auto batch = segment->next(expected);
      RETURN_IF_ERROR(batch);
      if (!*batch || (*batch)->header().base_offset > sample.base_offset) {
        break;
      }
      if (std::ranges::equal((*batch)->bytes(), sample.batch)) {
        return true;
      }
      expected = (*batch)->header().next_offset();
    }
  }
  return false;
}

std::string SalvagedCatalogue::partition_path(const std::string& topic,
                                              PartitionIndex partition) const {
  return topics_directory_ + "/" + partition_directory_name(topic, partition);
}
std::string SalvagedCatalogue::segment_path(const std::string& topic, PartitionIndex partition,
                                            Offset base_offset) const {
  return partition_path(topic, partition) + "/" + segment_file_name(base_offset);
}

Result<std::vector<Offset>> SalvagedCatalogue::segment_bases(const std::string& topic,
                                                             PartitionIndex partition) {
  std::vector<Offset> bases;
  const std::string directory = partition_path(topic, partition);
  const auto exists = disk_.exists(directory);
  RETURN_IF_ERROR(exists);
  if (*exists) {
    const auto entries = disk_.list(directory);
    RETURN_IF_ERROR(entries);
    for (const io::DirectoryEntry& entry : *entries) {
      if (const auto base = parse_segment_file_name(entry.name); base && !entry.is_directory) {
        bases.push_back(*base);
      }
    }
  }
  std::ranges::sort(bases);
  return bases;
}

}  // namespace onceflow::log
