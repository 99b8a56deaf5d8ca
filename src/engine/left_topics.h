// Topics between stages that a changed file leaves. What a stage has passed on there and the next
// one has not read yet would belong to no stage. Pure functions.
#pragma once

#include <span>
#include <vector>

#include "engine/definition_change.h"
#include "protocol/definition.h"

namespace onceflow::engine {

/// `onceflow reset --to-current` gives `after` the position of `before`, which is called otherwise.
bool takes_over(const protocol::PipelineDefinition::Stage& before,
                const protocol::PipelineDefinition::Stage& after);

/// For each stage of `known`, or of `retired` if it comes back, the topics between stages that are
/// read at its position no more: a note each, which is a refusal if something is unread in them.
/// A sink that is removed and not replaced leaves its topic on purpose.
std::vector<DefinitionChange> left_between_stages(
    const protocol::PipelineDefinition& known,
    std::span<const protocol::PipelineDefinition::Stage> retired,
    const protocol::PipelineDefinition& planned);

}  // namespace onceflow::engine
