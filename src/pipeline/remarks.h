// Remarks: what a pipeline file means where it does not say it, and what people find out too late:
// columns that take less than the aggregate in front of them may come to, and what a `where` makes
// of records without a value in front of a table that they would delete rows from. Nothing is
// refused for it. Pure functions.
#pragma once

#include <vector>

#include "pipeline/problem.h"
#include "pipeline/spec.h"

namespace onceflow::pipeline {

std::vector<Problem> remarks_on(const PipelineSpec& spec);

/// Of those: each `where` that keeps all records without a value from such a table.
std::vector<Problem> remarks_on_kept_deletions(const PipelineSpec& spec);

}  // namespace onceflow::pipeline
