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

/// Committed records alone: markers of transactions, and what was aborted, take offsets too. What
/// lies behind an open transaction nobody can read before it has ended, and all of it may count.
struct UnreadRecords {
  Offset first;
  Offset last;
  std::int64_t count = 0;
  bool is_counted = true;  ///< else there are too many to read, and `count` is how many offsets
  struct HeldBack {
    Offset first;
    Offset last;
    std::string holder;  ///< "the open transaction of transactional.id 'x' …"
  };
  std::optional<HeldBack> held_back{};
};

/// Those at the position (without one: of the partition) or after it, and before `until`, if it is
/// given; none if there are none.
Task<Result<std::optional<UnreadRecords>>> unread_records(std::shared_ptr<client::Cluster> cluster,
                                                          client::CommittedOffset position,
                                                          std::optional<Offset> until,
                                                          MonotonicTime deadline);

/// "orders-0 offsets 5..7 (3 records)", "orders-0 offsets 8..9 (held back by the open transaction
/// of …)", or both
std::string describe(const TopicPartition& partition, const UnreadRecords& unread);

}  // namespace onceflow::engine
