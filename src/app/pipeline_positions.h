// PipelinePositions: where a pipeline's stages are in their topics, and where they could go on, as
// the log knows it. Reads only. Owned by whoever asks; runs on the log's scheduler.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "app/log_task.h"
#include "client/admin.h"
#include "connectors/sink.h"
#include "engine/definition_log.h"
#include "protocol/definition.h"

namespace onceflow::app {

using Positions = std::vector<connectors::ClaimedPartition>;

/// "orders-0@25, orders-1@7"
std::string describe(const Positions& positions);

std::vector<TopicPartition> sources_of(const Positions& positions);

using engine::lies_between_stages;
/// Of a start-over, for the record that ends it.
std::vector<engine::StartOver::Place> start_over_places(const Positions& positions);
/// Those of a definition, and its changelogs.
std::set<std::string> internal_topics_of(const protocol::PipelineDefinition& definition);
std::set<std::string> groups_of(const protocol::PipelineDefinition& definition);

class PipelinePositions {
 public:
  explicit PipelinePositions(LogAtHand log);

  /// Of the topics that are there.
  Task<Result<std::vector<TopicPartition>>> partitions_of(std::vector<std::string> topics);
  /// In each partition: kEarliest, kLatest, or the first record of that time, the end without one:
  /// before what an open transaction has written, which may still come.
  Task<Result<Positions>> at_time(std::vector<std::string> topics, std::int64_t timestamp_ms);
  /// Of all that was written: results that an open transaction still hides lie before it.
  Task<Result<Positions>> ends_of(std::vector<std::string> topics);
  /// What the group has committed in them.
  Task<Result<Positions>> committed(std::string group, std::vector<std::string> topics);
  /// Of a stage that writes to topics: where its receipts say that it is, in partitions in which
  /// the group has committed nothing. A group expires, or is deleted; the receipts were committed
  /// with all that the stage has written, so they are as good.
  Task<Result<Positions>> forgotten_by_group(protocol::PipelineDefinition::Stage stage,
                                             std::string pipeline, std::string receipts_topic);
  /// The ids of the topics, with their positions.
  Task<Status> add_topic_ids(Positions& positions);
  /// What the stages of the pipeline as it was have not read, and never will where it is started
  /// over and its source is read from `begins` on: a text each. Without the topics in `said`; `ask`
  /// says where a stage has come to.
  Task<Result<std::vector<std::string>>> passed_over(protocol::PipelineDefinition known,
                                                     Positions begins, std::set<std::string> said,
                                                     engine::DefinitionLog::AskPositions ask);

  MonotonicTime deadline() const;

 private:
  Task<Result<std::vector<client::CommittedOffset>>> reached_by(
      std::string stage, std::vector<TopicPartition> partitions,
      const engine::DefinitionLog::AskPositions& ask);

  LogAtHand log_;
  client::Admin admin_;
};

}  // namespace onceflow::app
