// EmptiedTopics: whether what tells a pipeline that it has run before is still in its topics. A
// topic whose records were deleted (DeleteRecords, retention) is there, and says as little as one
// that was deleted: neither may be taken for a first start. The changelog is asked where it is read
// (keyed_state.h). For a worker and `onceflow plan`.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/log_event.h"
#include "client/cluster.h"
#include "engine/definition_change.h"
#include "engine/stage_options.h"
#include "engine/topology.h"

namespace onceflow::engine {

/// Where the log of partition 0 begins: what lies before was deleted. 0: nothing was, or the topic
/// does not exist.
Task<Result<Offset>> deleted_up_to(std::shared_ptr<client::Cluster> cluster, std::string topic,
                                   MonotonicTime deadline);

/// kRefused: a stage that `known` names has begun, and neither a position nor a receipt says where
/// it was.
Task<Status> check_receipts_are_kept(std::shared_ptr<client::Cluster> cluster, const Plan& plan,
                                     const KnownDefinition& known, const StageOptions& options);

/// Where no definition and no receipt can be read. kRefused: there were some.
Task<Status> check_nothing_was_emptied(std::shared_ptr<client::Cluster> cluster,
                                       std::string definitions_topic, const StageOptions& options);

/// Of each topic that the file names, that a stage of `known` writes to and that is gone it tells
/// with a warning: a start makes it anew, and it begins empty. After a reset nothing has been
/// written yet, and nothing is told.
Task<Status> tell_of_gone_outputs(std::shared_ptr<client::Cluster> cluster, const Plan& plan,
                                  const KnownDefinition& known, const StageOptions& options,
                                  const TellEvent& tell);

/// kRefused. `what` is lost: "topic p-receipts is gone".
std::unexpected<Error> has_run_before(std::string_view what, const StageOptions& options);

}  // namespace onceflow::engine
