// Claim: the positions that a database keeps of a stage are of the pipeline's newest start-over. It
// makes the receipts topic anew, and each position names the one of its time
// (docs/formats/positions.md): a database or a log that was restored from before a start-over, or a
// sink that the file did not name then, has results beside those that were made again (STG-1).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "audit/findings.h"
#include "audit/log_reader.h"
#include "audit/subject.h"
#include "audit/table_reader.h"

namespace onceflow::audit {

/// `topic`: of the receipts, as it is after the positions were read. `ending`: the command that
/// ends a reset which has not ended; empty: there is none.
void check_start_over(const StageSubject& stage, const std::vector<StoredPosition>& positions,
                      const std::string& receipts_topic,
                      const std::optional<TopicDescription>& topic, std::string_view ending,
                      Findings& findings);

}  // namespace onceflow::audit
