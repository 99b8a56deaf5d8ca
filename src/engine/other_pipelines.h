// OtherPipelines: what the other pipelines of a log are, as their definitions say it, and which
// topics are one pipeline's alone. Reads only; runs on the cluster's scheduler.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/task.h"
#include "client/cluster.h"
#include "protocol/definition.h"

namespace onceflow::engine {

/// Of each pipeline but this one, the definition that is in force. What may not be read, or is no
/// definition, says nothing.
Task<Result<std::vector<protocol::PipelineDefinition>>> read_other_pipelines(
    std::shared_ptr<client::Cluster> cluster, std::string pipeline, MonotonicTime deadline);

/// The topics that nobody else may write: receipts, definitions, changelogs, and those between its
/// stages that no file names.
std::set<std::string> own_topics(const protocol::PipelineDefinition& definition);
/// All that it writes to: these, and the topics of its sinks.
std::set<std::string> written_topics(const protocol::PipelineDefinition& definition);

}  // namespace onceflow::engine
