// Whether the names of a pipeline that has never run are free. A group keeps one position for each
// partition, whoever asks, and a topic the records of whoever writes it; so a pipeline with the
// group of another, or with names that run together as another's do (step b-c of a, step c of a-b),
// would pass over what the other one has read, and mix its states.
#pragma once

#include <memory>

#include "base/log_event.h"
#include "base/result.h"
#include "base/task.h"
#include "client/cluster.h"
#include "engine/topology.h"
#include "protocol/definition.h"

namespace onceflow::engine {

/// Where nothing is known of a pipeline, neither a definition nor a receipt: kRefused if one of its
/// groups has a position, or one of its internal topics a record. Positions in a database are kept
/// by the pipeline's name.
Task<Status> check_names_are_free(std::shared_ptr<client::Cluster> cluster, const Plan& plan,
                                  MonotonicTime deadline);

/// The same for a reset, which takes them away: a position that this pipeline has signed is its
/// own, whatever else was lost.
Task<Status> check_names_for_reset(std::shared_ptr<client::Cluster> cluster, const Plan& plan,
                                   MonotonicTime deadline);

/// kRefused, with whose it is and the ways on, if the pipeline would write a topic that lies
/// between the stages of another one, or another one writes a topic of its own; also if one of the
/// two has not written yet. What others are their definitions say. Tells of a topic of the file
/// that both write, and that one of them reads again, with a warning.
Task<Status> check_topics_of_others(std::shared_ptr<client::Cluster> cluster,
                                    const protocol::PipelineDefinition& planned,
                                    MonotonicTime deadline, const TellEvent& tell);

}  // namespace onceflow::engine
