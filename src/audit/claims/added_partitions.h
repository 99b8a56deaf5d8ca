// Not judged: what a reader by partition makes of a key whose records lie in two of them, because
// partitions were added to a topic while a stage wrote to it. The stage's positions say so
// (docs/formats/positions.md).
#pragma once

#include <span>

#include "audit/findings.h"
#include "audit/log_reader.h"
#include "audit/subject.h"

namespace onceflow::audit {

void tell_added_partitions(const StageSubject& stage, std::span<const GroupPosition> positions,
                           Findings& findings);

}  // namespace onceflow::audit
