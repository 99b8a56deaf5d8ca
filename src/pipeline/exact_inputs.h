// What reaches an exact column, `type: decimal`, after it was computed with doubles: digits that
// are lost before it are not found again. Stateless.
#pragma once

#include <string>
#include <vector>

#include "pipeline/spec.h"

namespace onceflow::pipeline {

/// A line for each field that a step may round before an exact aggregate, or an exact column of a
/// sink, takes it: what must be true for it not to matter, and how it is computed exactly.
std::vector<std::string> assumptions_of_exact_inputs(const PipelineSpec& spec);

}  // namespace onceflow::pipeline
