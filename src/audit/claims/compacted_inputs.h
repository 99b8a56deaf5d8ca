// Claim: nothing was compacted away from a source topic before its stage had read it. Offsets that
// no longer hold a record do not say when they lost it; so where the pipeline itself has written
// the topic, what its receipts say was written is held against what was read. Else such offsets are
// told as not covered.
#pragma once

#include <vector>

#include "audit/claims/topic_outputs.h"
#include "audit/findings.h"
#include "audit/stage_history.h"

namespace onceflow::audit {

void check_compacted_inputs(const std::vector<StageHistory>& histories,
                            const std::vector<StageHistory>& former, const Scans& scans,
                            Strangers strangers, Findings& findings);

}  // namespace onceflow::audit
