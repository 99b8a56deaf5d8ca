// Claim: the position from which a stage would go on is where its last receipt ended, neither
// before it (the records between would be read again) nor after it (they never would): output and
// positions have moved together (TXN-2).
#pragma once

#include "audit/findings.h"
#include "audit/stage_history.h"

namespace onceflow::audit {

void check_positions(const StageHistory& history, const Scans& scans, Findings& findings);

}  // namespace onceflow::audit
