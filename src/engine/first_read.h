// FirstRead: whether the log gives what a stage would read next. A batch that is damaged, or whose
// disk is away, shows itself to nobody but a reader, so a rehearsal reads once at each position.
#pragma once

#include <memory>
#include <vector>

#include "base/result.h"
#include "base/task.h"
#include "client/cluster.h"
#include "client/options.h"
#include "engine/rehearsal.h"

namespace onceflow::engine {

/// An error that is not final where nothing comes of a partition, and it is tried again: run would
/// start, and try as well. Success also where no answer has come within a few seconds.
Task<Status> try_first_read(std::shared_ptr<client::Cluster> cluster, client::FetchOptions fetch,
                            const StageRehearsal& stage);

}  // namespace onceflow::engine
