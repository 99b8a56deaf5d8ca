// Whether compaction may take records from a pipeline before it has read them. A topic with
// cleanup.policy=compact keeps the last record of each key: a table for its readers, and a loss for
// a stage that is away for a while and takes each record once.
#pragma once

#include <memory>

#include "base/log_event.h"
#include "base/result.h"
#include "base/task.h"
#include "client/cluster.h"
#include "engine/topology.h"

namespace onceflow::engine {

/// kRefused if a topic between stages, or that of the receipts or definitions, is compacted. Of a
/// topic that the file names it tells with a warning, once for each stage that reads it: people
/// have tables in topics. What a broker does not say is taken as not compacted.
Task<Status> check_compaction(std::shared_ptr<client::Cluster> cluster, const Plan& plan,
                              MonotonicTime deadline, const TellEvent& tell);

}  // namespace onceflow::engine
