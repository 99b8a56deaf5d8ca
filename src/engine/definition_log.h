// DefinitionLog: the topic <pipeline>-definitions, which says what a pipeline is and has been. A
// worker asks it before it writes anything, and writes its own definition into it before any stage
// begins: so whatever positions and states there are, a definition that made them is known.
//
// Owned by whoever asks (a worker, `onceflow plan`, `onceflow reset`); runs on the cluster's
// scheduler.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "client/admin.h"
#include "client/cluster.h"
#include "engine/definition_change.h"
#include "protocol/record_batch.h"

namespace onceflow::engine {

class DefinitionLog {
 public:
  /// `planned` outlives it; `file` is the pipeline file, for messages.
  DefinitionLog(std::shared_ptr<client::Cluster> cluster,
                const protocol::PipelineDefinition& planned, std::string file);

  /// Where a stage of the pipeline as it was has come to in these partitions, by its id.
  using AskPositions = std::function<Task<Result<std::vector<client::CommittedOffset>>>(
      std::string stage, std::vector<TopicPartition>)>;
  /// Asks this and not the group, which of a sink has but a copy of what is in its database.
  void ask_positions(AskPositions ask) { ask_positions_ = std::move(ask); }

  /// Reads the whole topic, past open transactions, too; nothing is known where it does not exist.
  /// Records of others, and of any transaction, are passed over, and kept in strangers() once they
  /// are committed.
  Task<Result<KnownDefinition>> read(MonotonicTime deadline);
  /// Of the last read(), by name: "p-definitions-0@3: not a definition of onceflow".
  const std::vector<std::string>& strangers() const { return strangers_; }
  /// Of the last read(): the topic holds some, and not its first records or others that are lost.
  bool is_cut() const { return is_cut_; }
  /// What the plan changes. A new table that its topic cannot fill any more is a refusal; a state
  /// that does not exist yet is none.
  Task<Result<std::vector<DefinitionChange>>> changes(const KnownDefinition& known,
                                                      MonotonicTime deadline);

  /// Before anything is written: kInvalidArgument, with every change and the ways on, if the plan
  /// does not go on with what is there. Else what is worth a note.
  Task<Result<std::vector<DefinitionChange>>> check(const KnownDefinition& known,
                                                    MonotonicTime deadline);
  /// The plan's definition is the last one: record() has nothing to write.
  bool is_recorded(const KnownDefinition& known) const;
  /// Writes the plan's definition if it is not the last one; what is known with it. As check() if
  /// another worker has written another one meanwhile. `start_over`: the topic knew of none, and
  /// there was one, which it is to remember from now on.
  enum class Forgotten { kNothing, kStartOver };
  Task<Result<KnownDefinition>> record(Forgotten forgotten, MonotonicTime deadline);
  /// One record, whatever was there; makes the topic if it is missing.
  Task<Status> write(protocol::PipelineDefinition definition, MonotonicTime deadline);

 private:
  /// kCorrupt: it was altered, or is of a later version.
  Status add(const TopicPartition& partition, const protocol::RecordBatchHeader& header,
             const protocol::RecordView& record, KnownDefinition& known);
  Task<Status> read_part(TopicPartition partition, client::IsolationLevel level, Offset& position,
                         Offset end, KnownDefinition& known, MonotonicTime deadline);
  Task<Status> look_at_source(DefinitionChange& change, const std::optional<StartOver>& start_over,
                              MonotonicTime deadline);
  /// How much of the topics stays unread.
  Task<Status> look_at_left(DefinitionChange& change, MonotonicTime deadline);
  Task<Result<std::string>> unread_of(const DefinitionChange& change, std::string topic,
                                      MonotonicTime deadline);
  Task<Status> look_at_state(DefinitionChange& change, MonotonicTime deadline);
  /// The offsets of all partitions; none if the topic does not exist.
  Task<Result<std::vector<client::ListedOffset>>> offsets_of(std::string topic,
                                                             std::int64_t timestamp_ms,
                                                             MonotonicTime deadline);
  Task<Status> create_topic(MonotonicTime deadline);
  Status refusal(const KnownDefinition& known, std::span<const DefinitionChange> changes) const;

  std::shared_ptr<client::Cluster> cluster_;
  const protocol::PipelineDefinition& planned_;
  const std::string file_;
  client::Admin admin_;
  AskPositions ask_positions_;
  std::vector<std::string> strangers_;
  bool is_cut_ = false;
};

}  // namespace onceflow::engine
