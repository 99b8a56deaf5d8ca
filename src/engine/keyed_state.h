// KeyedState: the aggregate tables of a stage, one per source partition, and their way back from
// the changelog topic, which is the truth. A table stays warm over doubts and rebalances: only what
// was committed to its changelog partition since is read.
//
// Owned by its stage.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>

#include "client/admin.h"
#include "client/fetcher.h"
#include "engine/aggregate_table.h"
#include "engine/stage_options.h"
#include "engine/topic_writer.h"

namespace onceflow::engine {

class KeyedState {
 public:
  using OnProgress = std::function<void(std::uint64_t count)>;

  KeyedState(std::shared_ptr<client::Cluster> cluster, const AggregateSpec& spec,
             const StageOptions& options);

  /// Brings the tables of these partitions, and no others, to the end of their changelog. Call it
  /// after the take-over and after the committed positions are known to be decided. A transaction
  /// that a dead worker left open in the changelog is waited for: records committed behind it count
  /// too. kTimedOut if it still is open at the deadline.
  /// `on_progress` hears of every few records that were read.
  Task<Status> restore(std::span<const TopicPartition> partitions, OnProgress on_progress,
                       MonotonicTime deadline);

  AggregateTable& table(PartitionIndex partition) { return tables_.at(partition).table; }
  /// Writes every pending change to the changelog.
  Status write_changes(TopicWriter& changelog);
  /// STG-2: only after the commit has answered.
  void apply(const TopicWriter& changelog, const RecordOutput& output);
  void drop_pending();

  std::map<PartitionIndex, AggregateTable*> tables();
  std::uint64_t key_count() const;

 private:
  struct Partition {
    AggregateTable table;
    Offset changelog_position = kNoOffset;
  };

  Task<Status> read_changelog(const OnProgress& on_progress, MonotonicTime deadline);
  Result<std::uint64_t> read_run(const client::FetchedRun& run);

  std::shared_ptr<client::Cluster> cluster_;
  const AggregateSpec& spec_;
  client::Admin admin_;
  client::Fetcher fetcher_;
  std::map<PartitionIndex, Partition> tables_;
};

}  // namespace onceflow::engine
