// Definitions: what a pipeline does to records, as text that is the same for two files that mean
// the same. It is kept with what the pipeline has made (docs/formats/definition.md). Pure
// functions.
#pragma once

#include <string_view>

#include "pipeline/planner.h"
#include "protocol/definition.h"

namespace onceflow::pipeline {

/// How expressions read and write values, which the meaning of every line below it stands on. It is
/// counted up when the same expression over the same record comes to another value.
inline constexpr std::string_view kValuesDefinition = "values 1\n";

/// Of every stage of the plan: what it does, a line for each thing that it computes, and what makes
/// its state. The ids of steps are not in it, nor a dsn, which is a secret.
protocol::PipelineDefinition definition_of(const PlannedPipeline& planned);

}  // namespace onceflow::pipeline
