#include "audit/claims/input_records.h"

#include <fmt/format.h>

#include "audit/names.h"

namespace onceflow::audit {
namespace {

class PartitionInputs {
 public:
  PartitionInputs(const StageHistory& history, const PartitionScan& scan, Findings& findings)
      : history_(history), scan_(scan), stage_(history.subject->id), findings_(findings) {}

  void check(const std::vector<InputRange>& ranges) {
    std::int64_t unreadable = 0;
    for (const InputRange& range : ranges) {
      if (range.next <= range.from) {
        continue;  // told by the claim of tiling
      }
      if (range.from < scan_.start()) {
        unreadable += range.totals.count;
      } else if (range.next > scan_.position()) {
        add(FindingKind::kMissing, range, range.next - std::max(range.from, scan_.position()),
            fmt::format("were read, but the topic ends at offset {}", scan_.position().value));
      } else if (!scan_.is_compacted()) {
        compare(range);
      }
    }
    if (unreadable > 0) {
      findings_.note(fmt::format(
          "{}: {} before offset {} were deleted after stage {} had read them, so "
          "their contents cannot be compared",
          name_of(scan_.partition()), count_of(unreadable, "record"), scan_.start().value, stage_));
    }
    if (scan_.is_compacted()) {
      findings_.note(fmt::format(
          "{} is compacted: the contents of what stage {} read there, before offset {}, cannot be "
          "compared",
          name_of(scan_.partition()), stage_, history_.covered_to(scan_.partition()).value));
    }
    check_open_transactions(history_.covered_to(scan_.partition()));
  }

 private:
  void compare(const InputRange& range) {
    const RecordTotals found = scan_.committed_between(range.from, range.next);
    const std::int64_t unread = found.count - range.totals.count;
    if (found == range.totals) {
      return;
    }
    if (unread < 0 && -unread == scan_.lost_between(range.from, range.next)) {
      return;  // the hole has been told by name
    }
    if (unread > 0) {
      add(FindingKind::kMissing, range, unread,
          fmt::format("hold {}, of which stage {} has read {}", count_of(found.count, "record"),
                      stage_, range.totals.count),
          Surplus{.partition = scan_.partition(),
                  .from = range.from,
                  .next = range.next,
                  .is_input = true,
                  .producer = {},
                  .record_count = unread,
                  .hash_sum = found.hash_sum - range.totals.hash_sum});
    } else if (unread < 0) {
      add(FindingKind::kMissing, range, -unread,
          fmt::format("hold {}, but stage {} has read {}: some were lost since, or were never "
                      "committed",
                      count_of(found.count, "record"), stage_, range.totals.count));
    } else {
      add(FindingKind::kAltered, range, found.count,
          fmt::format("hold {}, but not those that stage {} has read",
                      count_of(found.count, "record"), stage_));
    }
  }

  void check_open_transactions(Offset covered_to) {
    const Offset first_open = scan_.first_open_offset();
    if (first_open < covered_to && first_open < scan_.position()) {
      findings_.add(
          FindingKind::kMissing, stage_, 0,
          fmt::format("{} offset {}: a transaction is open there, and stage {} has gone on "
                      "to offset {}: if it commits, its records are never read",
                      name_of(scan_.partition()), first_open.value, stage_, covered_to.value));
    }
  }

  void add(FindingKind kind, const InputRange& range, std::int64_t record_count,
           const std::string& text, std::optional<Surplus> surplus = std::nullopt) {
    findings_.add(kind, stage_, record_count,
                  fmt::format("{} {} {} ({})", name_of(scan_.partition()),
                              name_offsets(range.from, range.next), text,
                              name_of(history_.receipts[range.entry])),
                  std::move(surplus));
  }

  const StageHistory& history_;
  const PartitionScan& scan_;
  const std::string& stage_;
  Findings& findings_;
};

}  // namespace

void check_input_records(const StageHistory& history, const Scans& scans, Findings& findings) {
  for (const auto& [source, ranges] : history.ranges) {
    if (const auto scan = scans.find(source); scan != scans.end()) {
      PartitionInputs(history, scan->second, findings).check(ranges);
    }
  }
}

}  // namespace onceflow::audit
