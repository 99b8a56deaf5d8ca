// SinkTrace: what a sink's consumer group remembers of it. The positions of a sink are in its
// database; what the group holds is a copy that is never gone on from. But it outlives the
// database: where that holds no position of the sink, it tells a first start from a database that
// is another one, or empty. Where `latest` was decided, it says where that was.
//
// It stands in the committed offset and its metadata (docs/formats/positions.md). Pure functions.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "client/group_metadata.h"
#include "connectors/sink.h"
#include "engine/kept_position.h"

namespace onceflow::engine {

enum class SinkTraceKind : std::uint8_t {
  kNone,   ///< the offset is nobody's of this pipeline
  kBegan,  ///< `latest` was decided to be here, before the sink's database knew it
  kRead,   ///< the sink has committed up to here
};

std::string sink_trace(SinkTraceKind kind, std::string_view pipeline);
SinkTraceKind parse_sink_trace(std::string_view metadata, std::string_view pipeline);

/// What is known of partitions for which a sink's database has no position.
struct RecalledSink {
  std::vector<KeptPosition> positions;  ///< with the beginnings that were decided before
  /// What the sink has read of them into rows that are not there: "in-0 up to offset 5", ….
  std::string lost{};
  std::vector<TopicPartition> lost_sources{};
};
RecalledSink recall_sink(std::vector<KeptPosition> positions,
                         std::span<const client::CommittedOffset> offsets,
                         std::string_view pipeline);

/// Those that lie before where the group says that the sink has read, though the sink tells the
/// group after it has committed: their database went back, and receipts do not say so. Without
/// those of which an operator has said that it may be so.
std::vector<connectors::ClaimedPartition> behind_their_traces(
    const std::vector<connectors::ClaimedPartition>& claimed,
    std::span<const client::CommittedOffset> offsets, std::string_view pipeline);

/// Of those alone: what the group is told, so that it is accepted once.
std::vector<client::OffsetToCommit> accepted_traces(
    const std::vector<connectors::ClaimedPartition>& claimed, std::string_view pipeline);

}  // namespace onceflow::engine
