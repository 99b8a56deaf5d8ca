// Remarks: what a pipeline file means where it does not say it, and what people find out too late:
// conditions that no record meets, columns that take less than the aggregate in front of them may
// come to, and what becomes of records without a value in front of a table that they would delete
// rows from. Nothing is refused for it. Pure functions.
#pragma once

#include <vector>

#include "base/log_event.h"
#include "pipeline/problem.h"
#include "pipeline/spec.h"

namespace onceflow::pipeline {

std::vector<Problem> remarks_on(const PipelineSpec& spec);

/// Of those, what `run` says when it begins: which `where` keeps all records without a value from
/// such a table; which table may keep an older record of another partition; and, as warnings, which
/// `where` no record meets, and where a record without a value does not have the key of its row,
/// unless a key column is a field alone, where it goes into a topic under another key, and where it
/// becomes a row itself.
struct RemarkOfRun {
  LogLevel level = LogLevel::kInfo;
  Problem remark;
};
std::vector<RemarkOfRun> remarks_of_run(const PipelineSpec& spec);

}  // namespace onceflow::pipeline
