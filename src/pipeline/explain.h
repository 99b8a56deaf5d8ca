// Explain: a planned pipeline as text for people, and as JSON for programs.
#pragma once

#include <string>

#include "pipeline/planner.h"

namespace onceflow::pipeline {

/// The flow as a drawing, the stages with their commit points, internal topics and groups, and the
/// guarantee with its mechanism and assumptions. Secrets are not shown.
std::string explain_text(const PlannedPipeline& planned);

/// The same as a JSON object; its keys stay.
std::string explain_json(const PlannedPipeline& planned);

/// "3 stages, exactly once"
std::string summary(const PlannedPipeline& planned);

}  // namespace onceflow::pipeline
