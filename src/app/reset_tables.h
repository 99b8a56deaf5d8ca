// ResetTables: what the databases of a pipeline's sinks keep, and how it is taken away or moved.
// Blocks: a reset has nothing else to do. Owned by the reset.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "app/log_task.h"
#include "app/pipeline_positions.h"
#include "base/task.h"
#include "client/group_metadata.h"
#include "connectors/sink_past.h"
#include "pipeline/planner.h"
#include "protocol/definition.h"

namespace onceflow::app {

/// The first error, with the texts of all of its code.
Status joined_errors(const std::vector<Status>& done);

/// The database knows of the sink.
bool has_any(const connectors::SinkPast& past);
/// Its positions in these partitions, as a group would say them.
std::vector<client::CommittedOffset> offsets_in(const connectors::SinkPast& past,
                                                std::vector<TopicPartition> partitions);

class ResetTables {
 public:
  using DefinitionStage = protocol::PipelineDefinition::Stage;

  /// `planned` outlives it.
  ResetTables(LogAtHand log, const pipeline::PlannedPipeline& planned)
      : log_(std::move(log)), planned_(planned) {}

  /// What is kept of a stage that writes a database; the stage may be of the pipeline as it was.
  /// kRefused: the file does not tell in which database.
  Result<connectors::SinkPast> past_of(const DefinitionStage& stage) const;
  /// The same of a stage that another one of the file goes on with, in the database of that one.
  Result<connectors::SinkPast> past_in(const DefinitionStage& after,
                                       const DefinitionStage& stage) const;
  /// The stage of the pipeline as it was that the stage of the file goes on for; null: none.
  Result<const DefinitionStage*> predecessor_of(const DefinitionStage& stage,
                                                const protocol::PipelineDefinition& known,
                                                const protocol::PipelineDefinition& file) const;
  /// Of a stage of the file: its positions are of a start-over that had another receipts topic.
  Result<bool> has_missed_start_over(const DefinitionStage& stage,
                                     const TopicId& receipts_id) const;
  /// Of all sinks of the file, and all at once: what their users may not do and the reset needs.
  Status check_rights(const protocol::PipelineDefinition& definition,
                      const connectors::SinkReset& reset) const;
  /// kRefused, of all sinks at once: what run would refuse of the tables of the file. A reset
  /// changes rows, and no table, so that what fits before it fits after it. A database that does
  /// not answer is not judged.
  Task<Status> check_fit() const;
  /// Of a stage of the file; positions say which receipts topic there is.
  Status reset(const DefinitionStage& stage, connectors::SinkReset reset,
               const TopicId& receipts_id) const {
    return run(stage, std::move(reset), receipts_id, connectors::ResetRun::kDone);
  }
  /// Whether the database would do so.
  Status try_out(const DefinitionStage& stage, connectors::SinkReset reset,
                 const TopicId& receipts_id) const;

 private:
  /// Which of several, any of which the stage of the file would go on with, its database knows.
  Result<const DefinitionStage*> known_in(const DefinitionStage& after,
                                          const std::vector<const DefinitionStage*>& stages) const;
  Status run(const DefinitionStage& stage, connectors::SinkReset reset, const TopicId& receipts_id,
             connectors::ResetRun run) const;
  Result<connectors::SinkPast> read(const pipeline::SinkSpec& sink,
                                    const DefinitionStage& stage) const;
  Result<connectors::SinkPast> past_in_postgres(const DefinitionStage& stage) const;
  connectors::SinkTable table_of(const DefinitionStage& stage) const;

  LogAtHand log_;
  const pipeline::PlannedPipeline& planned_;
};

}  // namespace onceflow::app
