#include "audit/claims/positions.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "audit/names.h"

namespace onceflow::audit {
namespace {

/// Ends of receipts that came while the audit was reading.
std::set<Offset> later_ends(const StageHistory& history, const TopicPartition& source) {
  std::set<Offset> ends;
  for (const ReceiptEntry& entry : history.receipts) {
    for (const protocol::Receipt::Input& input : entry.receipt.inputs) {
      if (!entry.is_settled && input.source == source) {
        ends.insert(input.next_offset);
      }
    }
  }
  return ends;
}

std::string name_keeper(const StageSubject& stage) {
  return stage.table ? std::string("in onceflow_positions")
                     : fmt::format("of group {}", stage.group_id);
}

// The log was read after the positions. What was read and is not there any more is told by the
// claim of input records; no receipt speaks of what is beyond that.
void check_end(const StageHistory& history, const PartitionScan& scan, Offset position,
               const std::string& where, Findings& findings) {
  const Offset end = std::max(history.covered_to(scan.partition()), scan.position());
  if (position > end) {
    findings.add(FindingKind::kMissing, history.subject->id, position - end,
                 fmt::format("{}, but the topic ends at offset {}: records that come at {} would "
                             "never be read by stage {}",
                             where, scan.position().value, name_offsets(end, position),
                             history.subject->id));
  }
}

void check_one(const StageHistory& history, const PartitionScan& scan, Offset position,
               Findings& findings) {
  const StageSubject& stage = *history.subject;
  const TopicPartition& source = scan.partition();
  Offset covered_to = history.covered_to(source);
  const std::string where =
      fmt::format("{}: the position {} is {}", name_of(source), name_keeper(stage),
                  position == kNoOffset ? "gone" : fmt::format("offset {}", position.value));
  check_end(history, scan, position, where, findings);
  if (covered_to == kNoOffset) {
    if (position == kNoOffset || history.is_cut || !stage.begins_at_earliest) {
      return;
    }
    covered_to = scan.start();
  }
  if (position < covered_to) {
    if (!stage.is_exactly_once) {
      return;
    }
    const Offset from = std::max(position, scan.start());
    findings.add(FindingKind::kDoubled, stage.id, covered_to - from,
                 fmt::format("{}, but stage {} has accounted for all before offset {}, which it "
                             "would read again",
                             where, stage.id, covered_to.value));
  } else if (position > covered_to && !later_ends(history, source).contains(position)) {
    const Offset readable = std::max(covered_to, scan.start());
    const std::int64_t deleted = std::min(readable, position) - covered_to;
    const RecordTotals passed =
        readable < position ? scan.committed_between(readable, position) : RecordTotals{};
    if (passed.count > 0 || deleted > 0) {
      findings.add(FindingKind::kMissing, stage.id, deleted + passed.count,
                   fmt::format("{}, so {} {} were passed without a receipt of stage {} ({})", where,
                               name_of(source), name_offsets(covered_to, position), stage.id,
                               deleted > 0 ? count_of(deleted, "offset") + " deleted since"
                                           : count_of(passed.count, "record")));
    }
  }
}

}  // namespace

void check_positions(const StageHistory& history, const Scans& scans, Findings& findings) {
  for (const std::string& topic : history.subject->source_topics) {
    for (auto scan = scans.lower_bound({topic, PartitionIndex(0)});
         scan != scans.end() && scan->first.topic == topic; ++scan) {
      if (history.former.contains(scan->first) && history.covered_to(scan->first) == kNoOffset) {
        continue;  // of another topic of that name, which is told
      }
      const auto position = history.positions.find(scan->first);
      check_one(history, scan->second,
                position == history.positions.end() ? kNoOffset : position->second, findings);
    }
  }
}

}  // namespace onceflow::audit
