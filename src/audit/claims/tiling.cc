#include "audit/claims/tiling.h"

#include <fmt/format.h>

#include <algorithm>

#include "audit/names.h"

namespace onceflow::audit {
namespace {

class PartitionTiling {
 public:
  PartitionTiling(const StageHistory& history, const PartitionScan& scan, Findings& findings)
      : history_(history), scan_(scan), stage_(history.subject->id), findings_(findings) {}

  void check(const std::vector<InputRange>& ranges) {
    if (history_.subject->begins_at_earliest && !history_.is_cut) {
      check_gap(scan_.start(), ranges.front().from, "before its first receipt");
    }
    const InputRange* last = nullptr;
    for (const InputRange& range : ranges) {
      if (range.next <= range.from) {
        findings_.add(FindingKind::kAltered, stage_, 0,
                      fmt::format("{} claims {} from offset {} to offset {}", name_of(entry(range)),
                                  name_of(scan_.partition()), range.from.value, range.next.value));
        continue;
      }
      if (last != nullptr) {
        check_gap(last->next, range.from, "between two receipts");
        check_overlap(*last, range);
      }
      if (last == nullptr || range.next > last->next) {
        last = &range;
      }
    }
  }

 private:
  const ReceiptEntry& entry(const InputRange& range) const {
    return history_.receipts[range.entry];
  }

  // A gap without a record in it (markers, aborted records) loses nothing.
  void check_gap(Offset from, Offset next, std::string_view where) {
    from = std::max(from, scan_.start());
    if (next <= from) {
      return;
    }
    const RecordTotals lost = scan_.committed_between(from, next);
    if (lost.count > 0 && !scan_.is_compacted()) {
      findings_.add(FindingKind::kMissing, stage_, lost.count,
                    fmt::format("{} {} were never accounted for by stage {} ({}, {})",
                                name_of(scan_.partition()), name_offsets(from, next), stage_,
                                count_of(lost.count, "record"), where));
    }
  }

  void check_overlap(const InputRange& earlier, const InputRange& later) {
    const Offset from = later.from;
    const Offset next = std::min(earlier.next, later.next);
    if (next <= from) {
      return;
    }
    std::string text = fmt::format("{} {} were accounted for twice by stage {}: in {} and in {}",
                                   name_of(scan_.partition()), name_offsets(from, next), stage_,
                                   name_of(entry(earlier)), name_of(entry(later)));
    if (history_.subject->is_exactly_once) {
      findings_.add(FindingKind::kDoubled, stage_, next - from, std::move(text));
    } else {
      findings_.note(text + ", as at_least_once allows");
    }
  }

  const StageHistory& history_;
  const PartitionScan& scan_;
  const std::string& stage_;
  Findings& findings_;
};

}  // namespace

void check_tiling(const StageHistory& history, const Scans& scans, Findings& findings) {
  for (const auto& [source, ranges] : history.ranges) {
    const auto scan = scans.find(source);
    if (scan == scans.end()) {
      findings.add(FindingKind::kMissing, history.subject->id, 0,
                   fmt::format("{} is not there any more, but stage {} has receipts for it",
                               name_of(source), history.subject->id));
    } else {
      PartitionTiling(history, scan->second, findings).check(ranges);
    }
  }
}

}  // namespace onceflow::audit
