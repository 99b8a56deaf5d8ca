// OtherPipelines: what the other pipelines of a log have, as their definitions say it, so that
// `onceflow reset` takes nothing of theirs: a group keeps one position for each partition, whoever
// asks, and names of topics may run together (step b-c of a, step c of a-b). Reads only. Owned by
// the reset.
#pragma once

#include <set>
#include <string>

#include "app/log_task.h"
#include "app/pipeline_positions.h"
#include "protocol/definition.h"

namespace onceflow::app {

class OtherPipelines {
 public:
  OtherPipelines(LogAtHand log, std::string pipeline);

  /// kRefused, with whose they are and the ways on, if one of the groups holds positions of another
  /// pipeline, or one of the topics between stages is another's.
  Task<Status> check(std::set<std::string> groups, std::set<std::string> topics);

 private:
  Task<Status> check_group(const protocol::PipelineDefinition& other,
                           const protocol::PipelineDefinition::Stage& stage);
  Task<Status> check_topic(const protocol::PipelineDefinition& other, std::string topic);
  /// The id of the topic; empty if there is none.
  Task<Result<std::string>> receipts_of(const std::string& pipeline);
  std::string ways_on(const std::string& other) const;

  LogAtHand log_;
  const std::string pipeline_;
  client::Admin admin_;
  PipelinePositions places_;
};

}  // namespace onceflow::app
