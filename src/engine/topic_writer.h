// TopicWriter: the records that a stage writes to one topic: which partition each belongs to, and
// what the receipt will say of them. Owned by its stage.
#pragma once

#include <vector>

#include "client/cluster.h"
#include "engine/record.h"
#include "engine/record_output.h"
#include "protocol/receipt.h"

namespace onceflow::engine {

class TopicWriter {
 public:
  TopicWriter(std::string topic, RecordOutput& output)
      : topic_(std::move(topic)), output_(output) {}

  /// Learns the partitions, and how large a batch may be; again after every take-over, because
  /// slots are of the producer's life.
  Task<Status> open(client::Cluster& cluster, MonotonicTime deadline);

  /// The key's murmur2 hash chooses the partition; without a key, the source's partition does.
  Status append(const Record& record, PartitionIndex source_partition,
                client::RecordOrigin origin = {});
  /// To one partition.
  Status append_to(PartitionIndex partition, const protocol::NewRecord& record,
                   client::RecordOrigin origin = {});

  std::int64_t record_count() const;
  void add_to(protocol::Receipt& receipt) const;
  /// A new commit begins.
  void reset();

  client::PartitionSlot slot(PartitionIndex partition) const {
    return partitions_.at(static_cast<std::size_t>(partition.value)).slot;
  }
  /// Whether the open commit has written to it.
  bool has_written_to(PartitionIndex partition) const {
    return partitions_.at(static_cast<std::size_t>(partition.value)).record_count > 0;
  }
  std::int32_t partition_count() const { return static_cast<std::int32_t>(partitions_.size()); }
  const std::string& topic() const { return topic_; }
  /// As of open(); zeros: unknown.
  TopicId topic_id() const { return topic_id_; }

 private:
  struct PartitionTotals {
    client::PartitionSlot slot;
    std::int64_t record_count = 0;
    std::uint64_t record_hash_sum = 0;
  };

  std::string topic_;
  RecordOutput& output_;
  TopicId topic_id_;
  std::vector<PartitionTotals> partitions_;
};

}  // namespace onceflow::engine
