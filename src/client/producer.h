// Producer: an idempotent producer. Records are encoded into batches as they are appended; batches
// go out when they are full, when linger.ms has passed or at flush(); each is retried, byte for
// byte and in order, until it is acknowledged or delivery.timeout.ms has passed, and the broker
// drops the repetitions (PRD-1).
//
// Owned by the worker that produces; runs on the cluster's scheduler. append() allocates nothing
// per record.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/task.h"
#include "client/cluster.h"
#include "client/options.h"
#include "protocol/record_batch_builder.h"

namespace onceflow::client {

/// A partition's place in a producer; found once, so that append() looks nothing up.
using PartitionSlot = NamedInteger<struct PartitionSlotTag, std::uint32_t>;

/// Where a record came from, in the words of whoever appends it; said again if it is refused.
struct RecordOrigin {
  std::uint32_t source_index = 0;
  Offset offset = kNoOffset;
};

/// What became of one batch.
struct Delivery {
  PartitionSlot slot;
  std::int32_t record_count = 0;
  Result<Offset> base_offset;
};

struct ProducerStatistics {
  std::uint64_t record_count = 0;   ///< acknowledged
  std::uint64_t batch_count = 0;    ///< acknowledged
  std::uint64_t request_count = 0;  ///< Produce requests sent
  std::uint64_t retry_count = 0;    ///< batches sent again
  std::size_t buffered_bytes = 0;   ///< appended, not yet acknowledged
};

class BatchSender;

class Producer {
 public:
  Producer(std::shared_ptr<Cluster> cluster, ProducerOptions options);
  /// Closes.
  ~Producer();
  Producer(Producer&&) noexcept;
  Producer& operator=(Producer&&) noexcept;

  /// Asks for nothing; the same partition always has the same slot.
  PartitionSlot slot(const TopicPartition& partition);

  /// Copies the record into the partition's open batch. Never waits: whoever appends much checks
  /// has_room() now and then. kInvalidArgument: larger than max.request.size, or than what the
  /// topic is known to take. After a batch has failed for good, the error of that batch, for ever:
  /// sequence numbers would have a gap.
  Status append(PartitionSlot slot, const protocol::NewRecord& record, RecordOrigin origin = {});
  /// A whole record batch (magic 2) made elsewhere; the producer stamps its own identity on it.
  Status append_batch(PartitionSlot slot, Buffer batch);

  /// The topic's max.message.bytes, where it is known: no batch is made larger. Where it is not, a
  /// batch that the broker finds too large is divided.
  void limit_batches(PartitionSlot slot, std::size_t bytes_max);
  /// After an append or a batch was refused: the origin of the record, or of the batch's first.
  const std::optional<RecordOrigin>& refused_origin() const;

  bool has_room() const;
  Task<Status> wait_for_room(MonotonicTime deadline);

  /// Sends all that was appended and waits until it is acknowledged. kTimedOut: some of it still is
  /// on its way. Any other error: some of it was given up; what was written is unknown.
  Task<Status> flush(MonotonicTime deadline);

  /// The offset after the last acknowledged record of this producer; kNoOffset before the first.
  Offset acknowledged_end(PartitionSlot slot) const;
  /// Called once for every batch, on the scheduler, after its acknowledgement or failure; never
  /// after close().
  void on_delivery(Callback<void(const Delivery&)> callback);

  /// Cancels everything that waits. Batches that are not acknowledged are dropped.
  void close();
  ProducerStatistics statistics() const;

 private:
  std::shared_ptr<BatchSender> sender_;  ///< shared with its own background coroutine
};

}  // namespace onceflow::client
