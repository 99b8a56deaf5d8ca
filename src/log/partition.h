// Partition: one ordered run of batches, its producers and its transactions. Owned by its Topic, on
// the log's thread; changed through the Log alone, read by the broker.
//
// Invariants: offsets are dense and never reused (LOG-2); what was visible stays (LOG-3); the high
// watermark is the durable end, and the last stable offset never passes an open transaction or a
// marker that is not durable (TXN-1).
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "log/producer_state.h"
#include "log/segments.h"
#include "protocol/control_batch.h"
#include "protocol/error_code.h"

namespace onceflow::log {

/// Of a protocol's answer: a value, or the error's number as clients know it.
template <typename T>
using Answer = std::expected<T, protocol::ErrorCode>;

enum class IsolationLevel : std::int8_t { kReadUncommitted = 0, kReadCommitted = 1 };

/// One aborted transaction on one partition.
struct AbortedTransaction {
  ProducerId producer;
  Offset first_offset;
  Offset last_offset;         ///< of its marker
  Offset last_stable_offset;  ///< once it had ended: behind it no older transaction is open
};

/// A place in the partition found by time.
struct TimestampOffset {
  std::int64_t timestamp = -1;
  Offset offset = kNoOffset;
};

/// A copy of the batch that holds the first record from a time on.
struct BatchOfTime {
  Buffer bytes;
  std::int64_t timestamp = -1;  ///< that time

  /// Whether find_record may take long: a small batch can unpack to much.
  bool is_compressed() const;
  /// Pure, so that it can run anywhere. Nullopt: its header says more than its records.
  Result<std::optional<TimestampOffset>> find_record() const;
};

struct Topic;

class Partition {
 public:
  const TopicIdPartition& id() const { return id_; }
  const Topic& topic() const { return topic_; }

  /// The first record that can be read.
  Offset log_start_offset() const { return log_start_offset_; }
  /// The next record's offset; what lies before may not be durable yet. For producers only.
  Offset log_end_offset() const { return log_end_offset_; }
  /// The durable end: what consumers may see.
  Offset high_watermark() const { return high_watermark_; }
  /// What read_committed consumers may see.
  Offset last_stable_offset() const { return last_stable_offset_; }
  Offset visible_end(IsolationLevel isolation) const {
    return isolation == IsolationLevel::kReadCommitted ? last_stable_offset_ : high_watermark_;
  }
  std::uint64_t size_bytes() const { return segments_.size_bytes(); }

  /// Appends to `destination` whole batches, the first being the one that holds `from`, until the
  /// next would pass `bytes_max` or begins at or behind `visible_end(isolation)`. At least one
  /// batch if there is one and `at_least_one`. Nothing at the end. A single call stays within one
  /// segment, so it may return less than there is. OFFSET_OUT_OF_RANGE outside [log start, high
  /// watermark]; KAFKA_STORAGE_ERROR if the segment is damaged (reported to LogOptions::on_damage
  /// with its file).
  using FirstBatch = Segment::FirstBatch;
  struct ReadBatches {
    std::size_t bytes = 0;
    Offset end;  ///< behind the last batch read; `from` if none
  };
  Answer<ReadBatches> read(Offset from, std::size_t bytes_max, IsolationLevel isolation,
                           Buffer& destination, FirstBatch first_batch = FirstBatch::kAlways);

  /// The size of the batch that a fetch from `from` begins with; 0 if there is none to read.
  Answer<std::size_t> first_batch_bytes(Offset from, IsolationLevel isolation);

  /// Bytes that a fetch from `from` could return, as an estimate for fetch.min.bytes: exact for a
  /// reader at the tail, else within one index step; what is not visible yet is counted too. 0 at
  /// the end.
  std::size_t readable_bytes(Offset from, IsolationLevel isolation) const;

  /// Aborted transactions with data in [from, upper), or around it, in order of their markers; for
  /// read_committed fetches only. `upper` is the offset behind the last batch returned.
  std::vector<AbortedTransaction> aborted_transactions(Offset from, Offset upper) const;

  /// Where the first record at or after `timestamp` below the visible end is; nullopt if there is
  /// none.
  Answer<std::optional<BatchOfTime>> find_batch_by_timestamp(std::int64_t timestamp,
                                                             IsolationLevel isolation);
  /// As that, of the greatest timestamp there is (ListOffsets -3).
  Answer<std::optional<BatchOfTime>> find_batch_of_max_timestamp(IsolationLevel isolation);
  /// What its find_record() has found, as clients may be told it.
  Answer<std::optional<TimestampOffset>> answer_found(Result<std::optional<TimestampOffset>> found);

  /// A retry of one of the producer's last five batches: where the original went. To be asked
  /// before any check of transactions; append_batch asks it too.
  const BatchDescriptor* find_duplicate(const IncomingBatch& batch) const {
    return producers_.find_duplicate(batch);
  }
  const ProducerStates& producers() const { return producers_; }
  /// Producers with an open transaction here, by first offset.
  const std::map<Offset, ProducerId>& open_transactions() const { return open_transactions_; }

  Partition(const Partition&) = delete;
  Partition& operator=(const Partition&) = delete;
  ~Partition();

 private:
  friend class Log;
  friend class LogState;
  friend class Recovery;
  friend class CheckpointCodec;
  friend class SalvageRun;
  friend class SalvageTarget;
  friend class LogChanges;

  struct EndedTransaction {
    Offset first_offset;
    Offset marker_offset;
  };

  Partition(const Topic& topic, PartitionIndex index, SegmentFiles& files, std::string directory,
            const std::function<void(const Error&)>& on_damage);

  // Live and in recovery alike; `batch` has its offset already.
  Segment& apply_batch(const OwnedBytes& batch, const protocol::RecordBatchHeader& header,
                       JournalPosition position, MonotonicTime now);
  Segment& apply_marker(const protocol::EndTransactionMarker& marker, MonotonicTime now,
                        ProducerStates::Room room = ProducerStates::Room::kSome);
  /// All before `end` is durable. True if the high watermark or the last stable offset has moved.
  bool advance_high_watermark(Offset end);
  /// Moves the log start; gives the segments that are no longer needed.
  std::vector<std::unique_ptr<Segment>> apply_log_start(Offset offset);
  /// Where retention would have the log start now.
  Offset retention_start(std::int64_t now_ms) const;
  Offset first_unstable_offset() const;
  void update_last_stable_offset();
  template <typename T>
  Answer<T> answer(Result<T> result);

  TopicIdPartition id_;
  const Topic& topic_;                                  // owns us
  const std::function<void(const Error&)>& on_damage_;  // of the log's options
  bool damage_reported_ = false;
  bool skips_unsynced_markers_ = false;  // the seeded bug kLastStablePastUnsyncedMarker
  bool in_advanced_ = false;             // of LogState: once in each of its lists
  bool in_to_flush_ = false;
  bool is_noted_ = false;  // of LogChanges
  Offset durable_end_{0};  // of LogState: the next high watermark

  Offset log_start_offset_{0};
  Offset log_end_offset_{0};
  Offset high_watermark_{0};
  Offset last_stable_offset_{0};
  ProducerStates producers_;
  std::map<Offset, ProducerId> open_transactions_;
  // Vectors, for most partitions have none, and an empty deque takes 600 bytes.
  std::vector<EndedTransaction> ended_not_durable_;  // in order of markers
  std::vector<AbortedTransaction> aborted_;          // in order of markers
  Segments segments_;
};

}  // namespace onceflow::log
