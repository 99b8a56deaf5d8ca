// What a reset does and what it leaves as it is, for people. Pure functions.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "app/pipeline_positions.h"
#include "connectors/sink_past.h"
#include "engine/rehearsal.h"
#include "protocol/definition.h"

namespace onceflow::app {

/// What becomes of a sink's database where the pipeline is started over.
std::string describe_start_over(const protocol::PipelineDefinition::Stage& stage,
                                const connectors::SinkPast& past, bool deletes_rows,
                                bool keeps_rows, const Positions& positions);

/// Of a sink that has read something, which the database that would go on with it does not know.
std::string is_elsewhere(const protocol::PipelineDefinition::Stage& stage,
                         const protocol::PipelineDefinition::Stage& after, const Positions& read);
inline constexpr const char* kFixOfElsewhere =
    "; the rule: going on needs where it was; the fix: name the database of before in the file; or "
    "leave the sink's name as it was, and run it until this database is filled; or start over";
inline constexpr const char* kRunDecidesElsewhere =
    "; onceflow plan says whether run fills it, and from where";
/// Why states are not kept, and the ways on.
std::string states_do_not_fit(const std::vector<engine::DefinitionChange>& changes,
                              const protocol::PipelineDefinition& planned, const std::string& file);
/// Why a pipeline does not go on past what lies between its stages, and the ways on.
std::string not_all_is_read(std::vector<engine::DefinitionChange> changes,
                            const protocol::PipelineDefinition& planned, const std::string& file);
/// Of a reset that is not the one that goes on.
std::string turn_is_lost(const std::string& pipeline, const std::string& what,
                         const std::string& file, const std::string& flags);
/// Of an act that has failed in the middle of a reset.
Status unended(const std::string& what, const Status& done, const std::string& file,
               const std::string& flags);
/// What a reset has left in the way of a start, which it does not mend.
Status run_begins(const engine::Rehearsal& run, const std::string& file);
/// Those that have read records last which the log has lost since.
std::set<std::string> stages_with_lost_input(const engine::Rehearsal& run);
/// Of a stage that goes on though records that it has read are lost.
std::string goes_on_after_lost_input(const protocol::PipelineDefinition::Stage& stage);
/// Of a stage whose topics are not there yet; `before`: the same stage as it was, null if it is
/// new.
std::string begins_with_what_comes(const protocol::PipelineDefinition::Stage& stage,
                                   const protocol::PipelineDefinition::Stage* before);
/// Topics of the user that the pipeline writes.
std::vector<std::string> kept_topics(const protocol::PipelineDefinition& planned);
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
