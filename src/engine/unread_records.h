// What is unread at a position. Reads only; runs on the cluster's scheduler.
#pragma once

#include <memory>
#include <optional>

#include "base/ids.h"
#include "base/result.h"
#include "base/task.h"
#include "base/time.h"
#include "client/cluster.h"
#include "client/group_metadata.h"

namespace onceflow::engine {

/// The first committed record at the position or after it (without one: of the partition), if there
/// is one. Markers of transactions lie after the last record, so offsets alone do not tell.
Task<Result<std::optional<Offset>>> first_unread(std::shared_ptr<client::Cluster> cluster,
                                                 client::CommittedOffset position,
                                                 MonotonicTime deadline);

}  // namespace onceflow::engine
