// Open transactions: who hides what lies after the last stable offset of a partition. Asked of the
// partition's leader (DescribeProducers), of every broker (ListTransactions) and of the
// transaction's coordinator (DescribeTransactions); what a cluster does not offer, or does not let
// us ask, stays unknown.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/ids.h"
#include "base/result.h"
#include "base/task.h"
#include "client/cluster.h"

namespace onceflow::client {

struct OpenTransaction {
  Offset first_offset = kNoOffset;
  std::int64_t producer_id = -1;
  std::int64_t producer_epoch = -1;
  std::string transactional_id;  ///< empty: not known
  std::optional<std::int64_t> started_at_ms;
  std::optional<std::int64_t> timeout_ms;
};

/// The oldest open transaction of the partition; none if there is none any more. kUnsupported,
/// kRefused (no right to ask), kTimedOut.
Task<Result<std::optional<OpenTransaction>>> find_open_transaction(std::shared_ptr<Cluster> cluster,
                                                                   Channel channel,
                                                                   TopicPartition partition,
                                                                   MonotonicTime deadline);

/// Whether the id has a transaction that has not ended. kUnsupported, kRefused, kTimedOut as above.
Task<Result<bool>> has_open_transaction(std::shared_ptr<Cluster> cluster, Channel channel,
                                        std::string transactional_id, MonotonicTime deadline);

}  // namespace onceflow::client
