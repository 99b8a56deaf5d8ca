// Names the records that are too many somewhere. A receipt holds one sum of hashes for all records
// of a place, so a mismatch of the sums names the place; but if there are more records than the
// receipt says, the difference of the sums is the hash of what is too many, and reading the place
// again finds it. What is missing or altered leaves no hash that could be found.
#pragma once

#include <string>

#include "audit/findings.h"
#include "audit/log_reader.h"
#include "base/task.h"

namespace onceflow::audit {

/// "offset 13 (key 'c')"; empty if it cannot be told, for the difference is of several records.
Task<Result<std::string>> name_surplus(LogReader& reader, Surplus surplus);

}  // namespace onceflow::audit
