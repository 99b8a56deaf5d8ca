// From a planned pipeline to what the auditor is given. The only place where planner and auditor
// meet.
#pragma once

#include "audit/subject.h"
#include "pipeline/planner.h"

namespace onceflow::proof {

audit::AuditSubject audit_subject(const pipeline::PlannedPipeline& planned);

}  // namespace onceflow::proof
