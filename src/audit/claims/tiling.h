// Claim: the input ranges of a stage's receipts tile each source partition, from where it was told
// to begin to the last, without gap and without overlap (STG-1); nothing was deleted before it was
// read; and the topic is the one that the receipts speak of. What an operator skipped on purpose is
// told as that.
#pragma once

#include <vector>

#include "audit/findings.h"
#include "audit/stage_history.h"

namespace onceflow::audit {

/// `all`: of every stage of the file, which this one is one of.
void check_tiling(const StageHistory& history, const std::vector<StageHistory>& all,
                  const Scans& scans, Findings& findings);

}  // namespace onceflow::audit
