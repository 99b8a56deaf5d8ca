// LogReader: what the auditor needs of a Kafka cluster: bytes as they are stored, and the positions
// of groups. The real one is kafka_log_reader.h; tests have one over synthetic histories.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/task.h"

namespace onceflow::audit {

/// What a reader may see: all that is written, or only what is committed.
enum class Isolation : std::int8_t { kReadUncommitted = 0, kReadCommitted = 1 };

struct TopicDescription {
  std::int32_t partition_count = 0;
  /// Superseded records may have been removed, so counts and offsets have holes by design.
  bool is_compacted = false;
  TopicId id{};  ///< zeros: the cluster does not say
};

struct PartitionBounds {
  Offset start;
  Offset last_stable_offset;
  Offset high_watermark;
};

struct AbortedTransaction {
  ProducerId producer_id;
  Offset first_offset;
};

struct FetchedBatches {
  /// Whole batches and maybe a part of one more; the first may begin before what was asked for.
  Buffer bytes;
  /// Of a read_committed fetch: which transactions a consumer is told to leave out.
  std::vector<AbortedTransaction> aborted_transactions;
};

struct GroupPosition {
  TopicPartition source;
  Offset next_offset = kNoOffset;  ///< kNoOffset: nothing committed
  std::string metadata{};          ///< that it was committed with
};

class LogReader {
 public:
  virtual ~LogReader() = default;

  /// Nullopt: there is no such topic.
  virtual Task<Result<std::optional<TopicDescription>>> describe(std::string topic) = 0;
  virtual Task<Result<PartitionBounds>> bounds(TopicPartition partition) = 0;
  /// From the batch that holds `from`. Empty bytes: nothing is there to be seen.
  virtual Task<Result<FetchedBatches>> fetch(TopicPartition partition, Offset from,
                                             Isolation isolation) = 0;
  /// Only what is decided; waits while a transaction that moves them is pending.
  virtual Task<Result<std::vector<GroupPosition>>> positions(
      std::string group_id, std::vector<TopicPartition> partitions) = 0;
  /// For what is expected to arrive soon.
  virtual Task<void> pause() = 0;
};

}  // namespace onceflow::audit
