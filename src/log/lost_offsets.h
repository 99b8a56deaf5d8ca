// Lost offsets: what `onceflow salvage` puts where records cannot be read any more. A batch without
// records, as compaction leaves them in Kafka: consumers pass over it, offsets stay dense (LOG-2),
// and whoever accounts for records sees that nothing is stored there. Pure.
#pragma once

#include "base/bytes.h"
#include "base/ids.h"
#include "protocol/record_batch.h"

namespace onceflow::log {

/// One batch can hold the place of as many offsets.
inline constexpr std::int64_t kLostOffsetsMax = std::int64_t{1} << 31;

/// In the place of the offsets from `from` to before `next`; at most kLostOffsetsMax of them.
Buffer encode_lost_offsets(Offset from, Offset next);
/// The log itself writes no such batch, and takes none in.
bool holds_lost_offsets(const protocol::RecordBatchHeader& header);

}  // namespace onceflow::log
