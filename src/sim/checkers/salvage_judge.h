// SalvageJudge: what a salvaged log shows is what was written, at its own offset and with its own
// outcome; what it does not show was never promised, or the report tells it (LOG-1).
#pragma once

#include "log/log.h"
#include "log/salvage.h"
#include "sim/checkers/findings.h"
#include "sim/checkers/storage_history.h"

namespace onceflow::sim {

/// `log` is open on the new directory that `report` is about; `history` is of the old one.
void judge_salvaged(const StorageHistory& history, log::Log& log, const log::SalvageReport& report,
                    Findings& findings);

}  // namespace onceflow::sim
