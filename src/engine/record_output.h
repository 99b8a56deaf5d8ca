// RecordOutput: where a stage's records, receipt and input positions go together. Exactly once, it
// is a Kafka transaction; at least once, an idempotent producer whose records are flushed before
// the positions are committed.
//
// Owned by its stage; one call at a time.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "client/consumer_group.h"
#include "client/producer.h"
#include "client/transactional_producer.h"
#include "engine/stage_options.h"

namespace onceflow::engine {

class RecordOutput {
 public:
  virtual ~RecordOutput() = default;

  /// Ends whatever a predecessor, or this one before a doubt, left open. Recovery begins with it.
  virtual Task<Status> take_over(MonotonicTime deadline) = 0;
  /// Opens a commit, if none is open.
  virtual Status begin() = 0;
  virtual client::PartitionSlot slot(const TopicPartition& partition) = 0;
  virtual Status append(client::PartitionSlot slot, const protocol::NewRecord& record,
                        client::RecordOrigin origin) = 0;
  /// As a producer's.
  virtual void limit_batches(client::PartitionSlot slot, std::size_t bytes_max) = 0;
  virtual const std::optional<client::RecordOrigin>& refused_origin() const = 0;
  virtual bool has_room() const = 0;
  virtual Task<Status> wait_for_room(MonotonicTime deadline) = 0;
  /// All or nothing, positions included. Any error: take_over() before anything else, and read the
  /// committed positions (D5).
  virtual Task<Status> commit(client::GroupMetadata group,
                              std::vector<client::OffsetToCommit> positions,
                              MonotonicTime deadline) = 0;
  /// Forgets the open commit as well as it can; take_over() does the rest.
  virtual Task<void> abandon(MonotonicTime deadline) = 0;
  /// The offset after the last acknowledged record; kNoOffset before the first.
  virtual Offset acknowledged_end(client::PartitionSlot slot) const = 0;
};

/// <pipeline>-<stage>-<worker>; where one of them has a '-' in it, so that others may make the same
/// of it, followed by ~<bytes of the pipeline's name>.<bytes of the stage's>: no two are the same.
std::string transactional_id_of(const StageOptions& options, const std::string& stage_id,
                                const std::string& worker);
/// Versions before wrote without that end. If it differs: ends what a worker of such a version has
/// left open, or has open.
Task<Status> end_former_transaction(std::shared_ptr<client::Cluster> cluster,
                                    const StageOptions& options, std::string stage_id,
                                    std::string worker, MonotonicTime deadline);

std::unique_ptr<RecordOutput> make_record_output(std::shared_ptr<client::Cluster> cluster,
                                                 const std::string& stage_id,
                                                 const StageOptions& options,
                                                 client::ConsumerGroup& group);

}  // namespace onceflow::engine
