// What is unread at a position. Reads only; runs on the cluster's scheduler.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/ids.h"
#include "base/result.h"
#include "base/task.h"
#include "base/time.h"
#include "client/cluster.h"
#include "client/group_metadata.h"

namespace onceflow::engine {

/// Committed records alone: markers of transactions, and what was aborted, take offsets too.
struct UnreadRecords {
  Offset first;
  Offset last;
  std::int64_t count = 0;
  bool is_counted = true;  ///< else there are too many to read, and `count` is how many offsets
};

/// Those at the position (without one: of the partition) or after it, and before `until`, if it is
/// given; none if there are none.
Task<Result<std::optional<UnreadRecords>>> unread_records(std::shared_ptr<client::Cluster> cluster,
                                                          client::CommittedOffset position,
                                                          std::optional<Offset> until,
                                                          MonotonicTime deadline);

/// "orders-0 offsets 5..7 (3 records)"
std::string describe(const TopicPartition& partition, const UnreadRecords& unread);

}  // namespace onceflow::engine
