// InputAccount: what the open commit has taken from each source partition: the positions it moves,
// and what its receipt will say of its inputs.
//
// Invariant STG-1: the inputs of consecutive commits tile each partition; `from` of one is `next`
// of the one before.
#pragma once

#include <map>
#include <span>
#include <vector>

#include "base/ids.h"
#include "engine/record.h"
#include "protocol/receipt.h"

namespace onceflow::engine {

class InputAccount {
 public:
  struct Position {
    TopicPartition source;
    Offset offset;
    TopicId topic_id{};  ///< zeros: unknown
  };

  /// Begins anew at these positions; what was open is forgotten.
  void begin(std::span<const Position> positions);

  /// Counts records as they were read, before any operator saw them.
  void add(const Chunk& chunk);
  /// The position after a run; it may lie past its last record.
  void advance(const TopicPartition& source, Offset next_offset);

  bool is_empty() const;
  /// One per partition whose position moved, in the order of partitions.
  std::vector<protocol::Receipt::Input> inputs() const;
  std::vector<Position> moved_positions() const;
  /// Of every partition, moved or not.
  Offset next_offset(const TopicPartition& source) const {
    return partitions_.at(source).next_offset;
  }
  Offset from_offset(const TopicPartition& source) const {
    return partitions_.at(source).from_offset;
  }

  /// The open commit has happened: the next one starts where it ended.
  void commit();

 private:
  struct Open {
    TopicId topic_id;
    Offset from_offset;
    Offset next_offset;
    std::int64_t record_count = 0;
    std::uint64_t record_hash_sum = 0;
  };
  std::map<TopicPartition, Open> partitions_;
};

}  // namespace onceflow::engine
