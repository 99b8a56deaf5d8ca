// The auditor in the simulated world: on a node of its own, over the simulated network, with a
// reader of the database double. Stateless.
#pragma once

#include "audit/report.h"
#include "pipeline/planner.h"
#include "sim/sim_database.h"

namespace onceflow::sim {

/// Runs the world until the audit has come to its verdict. Faults must have stopped. An error: it
/// could not judge, for the text's reason.
Result<audit::AuditReport> audit_in_world(SimWorld& world, const pipeline::PlannedPipeline& planned,
                                          const SimDatabase::Image& image);

}  // namespace onceflow::sim
