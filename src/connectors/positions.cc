#include "connectors/positions.h"

#include <fmt/format.h>

namespace onceflow::connectors {

Status check_nothing_was_written(const SinkTable& table,
                                 const std::vector<ClaimedPartition>& claimed) {
  for (const ClaimedPartition& partition : claimed) {
    if (partition.next_offset != kNoOffset) {
      return fail(
          ErrorCode::kRefused,
          fmt::format("table {} is gone, but rows were written to it up to {}/{}@{}; the rule: a "
                      "committed row is written once, so it would not come back; the fix: restore "
                      "the table, or to fill a new one from the beginning delete the rows of "
                      "pipeline '{}', stage '{}' in onceflow_positions and onceflow_receipts",
                      table.table, partition.source.topic, partition.source.partition.value,
                      partition.next_offset.value, table.pipeline, table.stage));
    }
  }
  return {};
}

std::string source_of_row(const SinkCommit& commit, const SinkRow& row) {
  const TopicPartition& source = commit.positions[row.source_index].source;
  return fmt::format("{}/{}/{}", source.topic, source.partition.value, row.source_offset.value);
}

}  // namespace onceflow::connectors
