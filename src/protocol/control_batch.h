// Control batches: the markers that end a transaction in each of its partitions. Values, stateless.
//
// Layout: docs/formats/record_batch.md.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "protocol/record_batch.h"

namespace onceflow::protocol {

/// May hold a number that is not listed: KRaft has more, which consumers step over.
enum class ControlRecordType : std::int16_t { kAbort = 0, kCommit = 1 };

struct EndTransactionMarker {
  ControlRecordType type = ControlRecordType::kAbort;
  ProducerIdentity producer;
  std::int32_t coordinator_epoch = 0;
  std::int64_t timestamp_ms = 0;
  bool operator==(const EndTransactionMarker& other) const = default;
};

/// The size of every marker's batch.
inline constexpr std::size_t kEndTransactionMarkerBytes = kBatchHeaderBytes + 17;

/// The marker as a batch of one record, which takes one offset.
Buffer encode_end_transaction_marker(const EndTransactionMarker& marker, Offset base_offset,
                                     std::int32_t partition_leader_epoch);

/// Nullopt for a control batch that ends no transaction; kCorrupt for one that does not parse or
/// whose control bit is not set.
Result<std::optional<EndTransactionMarker>> parse_end_transaction_marker(
    const RecordBatchView& batch);

}  // namespace onceflow::protocol
