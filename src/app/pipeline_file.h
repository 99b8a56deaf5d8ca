// A pipeline file from disk, for the subcommands that take one.
#pragma once

#include <optional>
#include <string>

#include "app/shell_words.h"
#include "pipeline/planner.h"

namespace onceflow::app {

/// Reads, checks and plans the file. What is wrong goes to standard error, a line a problem; the
/// subcommand then ends with kExitUsage, and nothing was started.
std::optional<pipeline::PlannedPipeline> load_pipeline_file(const std::string& path);

Tables tables_of(const pipeline::PlannedPipeline& planned);

}  // namespace onceflow::app
