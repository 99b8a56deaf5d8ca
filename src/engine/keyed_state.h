// KeyedState: the aggregate tables of a stage, one per source partition, and their way back from
// the changelog topic, which is the truth. A table stays warm over doubts and rebalances: only what
// was committed to its changelog partition since is read.
//
// Owned by its stage.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "client/admin.h"
#include "client/fetcher.h"
#include "engine/aggregate_table.h"
#include "engine/stage_options.h"
#include "engine/topic_writer.h"
#include "io/time_slice.h"

namespace onceflow::engine {

class KeyedState {
 public:
  using OnProgress = std::function<void(std::uint64_t count)>;

  /// `definition`: what makes a state here; another's is refused, unless it is accepted.
  KeyedState(std::shared_ptr<client::Cluster> cluster, const AggregateSpec& spec,
             std::string definition, const StageOptions& options);

  /// Before the first restore(): the hashes of other definitions whose states count as well.
  void accept(std::vector<std::uint64_t> definitions) {
    accepted_definitions_ = std::move(definitions);
  }

  /// Brings the tables of these partitions, and no others, to the end of their changelog. Call it
  /// after the take-over and after the committed positions are known to be decided. A transaction
  /// that a dead worker left open in the changelog is waited for: records committed behind it count
  /// too. It may take as long as it gets on; kTimedOut after a wait in which nothing came. Asked
  /// now and then, `must_leave` ends it early: what was restored stays, and is not all.
  /// `on_progress` hears of every few records that were read.
  Task<Status> restore(std::span<const TopicPartition> partitions, OnProgress on_progress,
                       std::function<bool()> must_leave);

  /// Why nothing comes of a changelog, while restore() waits for it.
  std::optional<client::Fetcher::Trouble> trouble() const { return fetcher_.trouble(); }

  AggregateTable& table(PartitionIndex partition) { return tables_.at(partition).table; }
  /// STG-2: only after the commit has answered. kCorrupt, final: the changelog was made anew.
  Task<Status> apply(const TopicWriter& changelog, const RecordOutput& output);
  void drop_pending();

  std::map<PartitionIndex, AggregateTable*> tables();
  std::uint64_t key_count() const;

 private:
  struct Partition {
    AggregateTable table;
    Offset changelog_position = kNoOffset;
  };

  Task<Status> read_changelog(const OnProgress& on_progress,
                              const std::function<bool()>& must_leave);
  static Status records_are_gone(const TopicPartition& changelog);
  static Status records_are_lost(const TopicPartition& changelog, const client::LostRange& lost);
  Task<Status> read_run(client::FetchedRun run, const OnProgress& on_progress);

  std::shared_ptr<client::Cluster> cluster_;
  const AggregateSpec& spec_;
  const std::string definition_;
  std::vector<std::uint64_t> accepted_definitions_;
  client::Admin admin_;
  client::Fetcher fetcher_;
  const Duration call_timeout_;
  const Duration patience_;  ///< with a changelog from which nothing comes
  io::TimeSlice slice_;
  std::map<PartitionIndex, Partition> tables_;
};

}  // namespace onceflow::engine
