// What a reset leaves in the receipts of a stage: where it was told to begin, and that a hand did
// it. So the audit knows what is no input of the stage, and no worker takes the position for one
// that was moved in secret.
#pragma once

#include <string>

#include "app/pipeline_positions.h"
#include "protocol/definition.h"
#include "protocol/receipt.h"

namespace onceflow::app {

protocol::Receipt receipt_of_reset(const std::string& pipeline,
                                   const protocol::PipelineDefinition::Stage& stage,
                                   const Positions& positions, WallTime now);

/// Its id. A topic that was deleted just now may take a moment to be gone: `former` is the id of
/// that one.
Task<Result<TopicId>> make_receipts_topic(LogAtHand log, std::string name, TopicId former,
                                          MonotonicTime deadline);
/// Appends it to the receipts topic, which is made if it is not there.
Task<Status> write_receipt(LogAtHand log, std::string topic, protocol::Receipt receipt,
                           MonotonicTime deadline);

}  // namespace onceflow::app
