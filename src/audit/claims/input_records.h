// Claim: what a receipt says it has read is what the source topic holds there: as many committed
// records, with the same bytes at the same offsets (STG-1).
#pragma once

#include "audit/findings.h"
#include "audit/stage_history.h"

namespace onceflow::audit {

void check_input_records(const StageHistory& history, const Scans& scans, Findings& findings);

}  // namespace onceflow::audit
