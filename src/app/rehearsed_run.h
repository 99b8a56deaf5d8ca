// What `onceflow run` would come to with a file, by the checks with which it begins. For `onceflow
// plan`, which says it, and `onceflow reset`, which says that run begins.
#pragma once

#include <string>

#include "app/log_task.h"
#include "base/log_event.h"
#include "base/task.h"
#include "engine/rehearsal.h"
#include "pipeline/planner.h"

namespace onceflow::app {

/// `file` as it is typed again, with its flags; `skips_deleted`: with --skip-deleted. `tell` hears
/// what run would say. Nothing is written. `plan` outlives the call.
Task<engine::Rehearsal> rehearse_run(LogAtHand log, const pipeline::PlannedPipeline& plan,
                                     std::string file, bool skips_deleted, TellEvent tell);

}  // namespace onceflow::app
