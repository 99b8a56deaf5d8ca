#include "audit/stage_history.h"

#include <algorithm>
#include <utility>

namespace onceflow::audit {

void StageHistory::add(ReceiptEntry entry) {
  if (entry.is_settled) {
    for (const protocol::Receipt::Input& input : entry.receipt.inputs) {
      ranges[input.source].push_back({.from = input.from_offset,
                                      .next = input.next_offset,
                                      .totals = {input.record_count, input.record_hash_sum},
                                      .entry = receipts.size()});
    }
  }
  receipts.push_back(std::move(entry));
}

void StageHistory::sort_ranges() {
  for (auto& [source, of_source] : ranges) {
    std::ranges::sort(of_source, {},
                      [](const InputRange& range) { return std::pair(range.from, range.entry); });
  }
}

Offset StageHistory::covered_to(const TopicPartition& source) const {
  Offset covered = kNoOffset;
  if (const auto place = ranges.find(source); place != ranges.end()) {
    for (const InputRange& range : place->second) {
      covered = std::max(covered, range.next);
    }
  }
  return covered;
}

}  // namespace onceflow::audit
