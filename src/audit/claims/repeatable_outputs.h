// Claim: what a receipt of an at_least_once stage says it wrote is there. That is all that such a
// stage promises: a record may be there more often, which is counted and named as allowed.
//
// Its outputs are in no transactions: a receipt may be durable before they are, and the positions
// move only after both. So a receipt binds once the positions have passed it; and one whose commit
// was given up does not count if another one covers the same input.
#pragma once

#include <cstdint>

#include "audit/findings.h"
#include "audit/stage_history.h"

namespace onceflow::audit {

/// Returns how many records are there more often than the accepted receipts say.
std::int64_t check_repeatable_outputs(const StageHistory& history, const Scans& scans,
                                      Findings& findings);

}  // namespace onceflow::audit
