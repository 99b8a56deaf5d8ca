// Committed offsets of a group, for members and for those who are none. Runs on the cluster's
// scheduler.
#pragma once

#include <memory>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/task.h"
#include "client/cluster.h"
#include "client/group_metadata.h"

namespace onceflow::client {

/// With require_stable: waits out pending transactional offsets, so what it answers is decided. In
/// the order of `partitions`. kTimedOut, kCancelled, kRefused.
Task<Result<std::vector<CommittedOffset>>> fetch_committed(std::shared_ptr<Cluster> cluster,
                                                           Channel channel, GroupMetadata group,
                                                           std::vector<TopicPartition> partitions,
                                                           MonotonicTime deadline);

/// Outside of transactions; repeated until answered. kFenced: the generation has passed.
Task<Status> commit_offsets(std::shared_ptr<Cluster> cluster, Channel channel, GroupMetadata group,
                            std::vector<OffsetToCommit> offsets, MonotonicTime deadline);

}  // namespace onceflow::client
