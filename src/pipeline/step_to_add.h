// A step that a fix prints, ready to be typed into the file: where it must not have an id that the
// file has.
#pragma once

#include <string>
#include <vector>

#include "pipeline/problem.h"
#include "pipeline/spec.h"

namespace onceflow::pipeline {

/// An id that no step and no sink has.
std::string free_step_id(const PipelineSpec& spec);

/// The same, and the step that its fix prints, if it does, has such an id.
Problem with_free_step_id(Problem problem, const PipelineSpec& spec);
std::vector<Problem> with_free_step_ids(std::vector<Problem> problems, const PipelineSpec& spec);

}  // namespace onceflow::pipeline
