// SalvagedCatalogue: which topics a damaged log has: as the checkpoint knows them, moved on by the
// journal; where both are lost, folders tell names, and batches in the journal tell whose id a
// folder has. Reads alone; owned by a Salvage.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "io/disk.h"
#include "io/random.h"
#include "log/entries.h"
#include "log/journal_reader.h"
#include "log/topics.h"

namespace onceflow::log {

class SalvagedCatalogue {
 public:
  SalvagedCatalogue(io::Disk& disk, io::Random& random, std::string topics_directory)
      : disk_(disk), random_(random), topics_directory_(std::move(topics_directory)) {}

  /// Of the checkpoint.
  void add(const Topic& topic);
  /// Of the journal, in order.
  void read(const JournalEntry& entry);
  struct Knowledge {
    bool has_checkpoint = false;
    bool is_whole_journal = false;
    /// Behind the last gap of the journal: deletions since then are known.
    JournalPosition known_from;
  };
  /// What neither tells, from the folders.
  Status complete(const Knowledge& knowledge);

  const std::map<TopicId, TopicEntry>& topics() const { return topics_; }
  Offset log_start(const TopicIdPartition& partition) const;
  /// A sentence each.
  const std::vector<std::string>& lost_states() const { return lost_states_; }

  std::string segment_path(const std::string& topic, PartitionIndex partition,
                           Offset base_offset) const;
  /// Of the segments in the partition's folder, in order.
  Result<std::vector<Offset>> segment_bases(const std::string& topic, PartitionIndex partition);

 private:
  struct Sample {
    PartitionIndex partition;
    Offset base_offset;
    Buffer batch;
  };
  /// A topic of which the journal has batches and nothing has the name.
  struct Nameless {
    std::int32_t partition_count = 0;
    std::vector<Sample> samples;
  };
  using Folders = std::map<std::string, std::int32_t>;  // topic: number of partitions

  void note_batch(const BatchEntry& entry);
  Result<Folders> read_folders();
  Status add_topic_of_folder(const std::string& name, std::int32_t partition_count);
  Result<bool> holds_sample(const std::string& topic, const Nameless& nameless);
  std::string partition_path(const std::string& topic, PartitionIndex partition) const;

  io::Disk& disk_;
  io::Random& random_;
  const std::string topics_directory_;
  std::map<TopicId, TopicEntry> topics_;
  std::map<TopicId, JournalPosition> created_at_;
  std::set<TopicId> deleted_;
  std::map<TopicId, Nameless> nameless_;
  std::map<TopicIdPartition, Offset> log_starts_;
  std::vector<std::string> lost_states_;
};

}  // namespace onceflow::log
