// What a reset leaves as it is, for people. Pure functions.
#pragma once

#include <string>
#include <vector>

#include "protocol/definition.h"

namespace onceflow::app {

/// Sinks that the file does not name any more.
std::vector<std::string> tables_of_the_past(const protocol::PipelineDefinition& known,
                                            const protocol::PipelineDefinition& planned);
/// States of steps that the file does not name any more, and those that are new.
std::vector<std::string> states_of_the_past(const protocol::PipelineDefinition& known,
                                            const protocol::PipelineDefinition& planned);
/// Topics of the user that no stage has written before: a pipeline that goes on does not fill them.
std::vector<std::string> new_outputs(const protocol::PipelineDefinition& known,
                                     const protocol::PipelineDefinition& planned);

}  // namespace onceflow::app
