// Claim: the input ranges of a stage's receipts tile each source partition, from the first offset
// it had to read to the last, without gap and without overlap (STG-1).
#pragma once

#include "audit/findings.h"
#include "audit/stage_history.h"

namespace onceflow::audit {

void check_tiling(const StageHistory& history, const Scans& scans, Findings& findings);

}  // namespace onceflow::audit
