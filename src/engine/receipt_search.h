// What the newest receipts of a topic stage say of its inputs, read from the receipts topic. Needed
// where the group does not know (a first start, positions of another version, a position that is
// gone or was moved by hand), so it reads all of the topic: rare, and no index is kept for it. What
// was read last, which each claim compares with the log, is looked for in its tail alone.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "client/cluster.h"
#include "engine/stage_options.h"
#include "protocol/receipt.h"
#include "protocol/stage_receipts.h"

namespace onceflow::engine {

/// The newest input of each partition, over all workers; committed ones only. kTimedOut is
/// retriable.
Task<Result<std::map<TopicPartition, protocol::Receipt::Input>>> find_newest_inputs(
    std::shared_ptr<client::Cluster> cluster, const StageOptions& options, std::string stage);

/// The same of the last few hundred receipts, without waiting for any that are not decided yet.
Task<Result<std::map<TopicPartition, protocol::Receipt::Input>>> find_last_inputs(
    std::shared_ptr<client::Cluster> cluster, const StageOptions& options, std::string stage);

/// Of all that there are. For a pipeline whose own record of its definitions is gone.
Task<Result<protocol::ReceiptsByStage>> find_receipts_by_stage(
    std::shared_ptr<client::Cluster> cluster, const StageOptions& options);

}  // namespace onceflow::engine
