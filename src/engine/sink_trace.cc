#include "engine/sink_trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace onceflow::engine {
namespace {

constexpr std::string_view kBegan = "onceflow sink began pipeline=";
constexpr std::string_view kRead = "onceflow sink read pipeline=";

}  // namespace

std::string sink_trace(SinkTraceKind kind, std::string_view pipeline) {
  return fmt::format("{}{}", kind == SinkTraceKind::kBegan ? kBegan : kRead, pipeline);
}

SinkTraceKind parse_sink_trace(std::string_view metadata, std::string_view pipeline) {
  const auto is = [&](std::string_view prefix) {
    return metadata.starts_with(prefix) && metadata.substr(prefix.size()) == pipeline;
  };
  if (is(kBegan)) {
    return SinkTraceKind::kBegan;
  }
  return is(kRead) ? SinkTraceKind::kRead : SinkTraceKind::kNone;
}

std::vector<connectors::ClaimedPartition> behind_their_traces(
    const std::vector<connectors::ClaimedPartition>& claimed,
    std::span<const client::CommittedOffset> offsets, std::string_view pipeline) {
  std::vector<connectors::ClaimedPartition> behind;
  std::ranges::copy_if(claimed, std::back_inserter(behind), [&](const auto& partition) {
    const auto trace =
        std::ranges::find(offsets, partition.source, &client::CommittedOffset::partition);
    const bool do_receipts_agree =
        partition.receipt_offset == kNoOffset || partition.receipt_offset == partition.next_offset;
    return partition.next_offset != kNoOffset && do_receipts_agree && !partition.takes_any_rows &&
           trace != offsets.end() && trace->offset > partition.next_offset &&
           parse_sink_trace(trace->metadata, pipeline) == SinkTraceKind::kRead;
  });
  return behind;
}

std::vector<client::OffsetToCommit> accepted_traces(
    const std::vector<connectors::ClaimedPartition>& claimed, std::string_view pipeline) {
  std::vector<client::OffsetToCommit> accepted;
  for (const connectors::ClaimedPartition& partition : claimed) {
    if (partition.takes_any_rows && partition.next_offset != kNoOffset) {
      accepted.push_back({.partition = partition.source,
                          .offset = partition.next_offset,
                          .metadata = sink_trace(SinkTraceKind::kRead, pipeline)});
    }
  }
  return accepted;
}

RecalledSink recall_sink(std::vector<KeptPosition> positions,
                         std::span<const client::CommittedOffset> offsets,
                         std::string_view pipeline) {
  RecalledSink recalled{.positions = std::move(positions)};
  for (KeptPosition& position : recalled.positions) {
    const auto trace =
        std::ranges::find(offsets, position.source, &client::CommittedOffset::partition);
    if (trace == offsets.end() || trace->offset == kNoOffset) {
      continue;
    }
    switch (parse_sink_trace(trace->metadata, pipeline)) {
      case SinkTraceKind::kNone:
        break;
      case SinkTraceKind::kBegan:
        position.receipt_offset = trace->offset;
        position.receipt_beginning = protocol::Receipt::Beginning::kLatest;
        break;
      case SinkTraceKind::kRead:
        recalled.lost_sources.push_back(position.source);
        recalled.lost += fmt::format("{}{}-{} up to offset {}", recalled.lost.empty() ? "" : ", ",
                                     position.source.topic, position.source.partition.value,
                                     trace->offset.value);
        break;
    }
  }
  return recalled;
}

}  // namespace onceflow::engine
