// Conditions on the results of an aggregate. Results are updates: one that a `where` drops leaves
// what was written of its group before. A table with `mode: upsert` would go on to say it.
// Stateless.
#pragma once

#include <string>
#include <vector>

#include "pipeline/problem.h"
#include "pipeline/spec.h"

namespace onceflow::pipeline {

/// Each `where` behind the aggregate that may pass one result of a group and drop a later one, in
/// front of a table that keeps the last result of each group.
std::vector<Problem> check_result_conditions(const PipelineSpec& spec);

/// The same in front of topics, where the dropped update is missing for whoever keeps the last
/// record of a key: what must be true for it not to matter.
std::vector<std::string> assumptions_of_result_conditions(const PipelineSpec& spec);

}  // namespace onceflow::pipeline
