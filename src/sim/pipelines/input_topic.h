// InputTopic: the world's memory of what is in the source topic: every record that was
// acknowledged, by partition and offset. The feeder is the topic's only writer and its producer
// idempotent, so a record's offset is its place among those of its partition.
#pragma once

#include <vector>

#include "sim/pipelines/documents.h"

namespace onceflow::sim {

struct InputPartition {
  std::vector<Document> documents;
  /// A pipeline that begins at the end must take all from here on, and may take some before.
  std::size_t begins_at_most = 0;
  /// What an operator let a pipeline pass over: deleted before it was read.
  std::size_t skipped_from = 0;
  std::size_t skipped_to = 0;

  bool is_skipped(std::size_t offset) const {
    return offset >= skipped_from && offset < skipped_to;
  }
};

struct InputTopic {
  std::vector<InputPartition> partitions;

  std::size_t record_count() const {
    std::size_t count = 0;
    for (const InputPartition& partition : partitions) {
      count += partition.documents.size();
    }
    return count;
  }
};

}  // namespace onceflow::sim
