// Claim: for each committed transaction with a receipt, the records found in each output partition
// are as many, and the same, as the receipt says; and nothing else is there (STG-1).
// What a reset has deleted with its changelog is not covered until a worker makes the topic anew.
//
// A transaction is known by producer id and epoch: under transactions v2 every one has an epoch of
// its own; under v1 many share one, and are told apart by their order in each partition.
#pragma once

#include <vector>

#include "audit/definition_records.h"
#include "audit/findings.h"
#include "audit/stage_history.h"

namespace onceflow::audit {

enum class Strangers {
  kRefused,  ///< a record of an output topic that belongs to no receipt is a finding
  kAllowed,  ///< except in topics that are the user's own
};

void check_topic_outputs(const std::vector<StageHistory>& histories,
                         const std::vector<StageHistory>& former, const Scans& scans,
                         const DefinitionRecords& definitions, Strangers strangers,
                         Findings& findings);

/// Output partitions in which a settled receipt's transaction is still open: its marker may be on
/// its way.
bool waits_for_markers(const std::vector<StageHistory>& histories, const Scans& scans);

}  // namespace onceflow::audit
