// What a reset does and what it leaves as it is, for people. Pure functions.
#pragma once

#include <string>
#include <vector>

#include "app/pipeline_positions.h"
#include "connectors/sink_past.h"
#include "protocol/definition.h"

namespace onceflow::app {

/// What becomes of a sink's database where the pipeline is started over.
std::string describe_start_over(const protocol::PipelineDefinition::Stage& stage,
                                const connectors::SinkPast& past, bool deletes_rows,
                                bool keeps_rows, const Positions& positions);

/// Of a stage whose topics are not there yet; `before`: the same stage as it was, null if it is
/// new.
std::string begins_with_what_comes(const protocol::PipelineDefinition::Stage& stage,
                                   const protocol::PipelineDefinition::Stage* before);
/// Topics of the user in which results stay that are made once more.
std::vector<std::string> kept_outputs(const protocol::PipelineDefinition& planned);
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
