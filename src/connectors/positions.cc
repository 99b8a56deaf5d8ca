#include "connectors/positions.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "protocol/receipt.h"

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

std::string describe_fence(const SinkPosition& believed, const ClaimedPartition& stored) {
  const std::string name =
      fmt::format("{}/{}", believed.source.topic, believed.source.partition.value);
  if (stored.epoch != believed.epoch) {
    return fmt::format("{} was claimed by another worker after epoch {}", name, believed.epoch);
  }
  return fmt::format(
      "the position of {} is {} in onceflow_positions, and this worker left it at {}", name,
      stored.next_offset.value, believed.from_offset.value);
}

Buffer from_hex(std::string_view digits) {
  Buffer bytes(digits.size() / 2);
  for (std::size_t index = 0; index < bytes.size(); ++index) {
    std::uint8_t octet = 0;
    std::from_chars(digits.data() + 2 * index, digits.data() + 2 * index + 2, octet, 16);
    bytes[index] = std::byte{octet};
  }
  return bytes;
}

void NewestReceipts::add(ByteView bytes) {
  ++seen_;
  const auto receipt = protocol::decode_receipt(bytes);
  if (!receipt) {
    return;  // The audit names it.
  }
  for (const protocol::Receipt::Input& input : receipt->inputs) {
    const auto place = std::ranges::find(claimed_, input.source, &ClaimedPartition::source);
    if (place != claimed_.end() && place->receipt_offset == kNoOffset) {
      place->receipt_offset = input.next_offset;
      --wanted_;
    }
  }
}

}  // namespace onceflow::connectors
