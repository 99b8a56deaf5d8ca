// What a worker of a pipeline file is told, whether it is to run (`onceflow run`) or to be asked
// what it would do (`onceflow plan`).
#pragma once

#include <string>

#include "engine/worker.h"
#include "pipeline/planner.h"

namespace onceflow::app {

/// `file`: as the user would name it to a command. Which cluster it is, whom it tells and what its
/// flags say is the caller's to add.
engine::WorkerOptions worker_options_of(const pipeline::PlannedPipeline& planned,
                                        const std::string& worker, std::string file);

}  // namespace onceflow::app
