#include "audit/claims/tiling.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <string_view>

#include "audit/names.h"
#include "base/log_line.h"

namespace onceflow::audit {
namespace {

using Beginning = protocol::Receipt::Beginning;

/// The worker of a receipt that onceflow reset has written (docs/formats/receipt.md).
constexpr std::string_view kResetCommand = "onceflow reset";

class PartitionTiling {
 public:
  PartitionTiling(const StageHistory& history, const PartitionScan& scan, Findings& findings)
      : history_(history), scan_(scan), stage_(history.subject->id), findings_(findings) {}

  void check() {
    std::span<const InputBeginning> beginnings = of_source(history_.beginnings);
    const std::span<const InputRange> ranges = of_source(history_.ranges);
    // From reset to reset; the first life is the one before any.
    std::size_t life_begin = 0;
    const InputBeginning* begun = nullptr;
    if (!beginnings.empty() && beginnings.front().reason != Beginning::kReset) {
      begun = &beginnings.front();
    }
    Offset covered = kNoOffset;
    for (const InputBeginning& beginning : beginnings) {
      if (beginning.reason == Beginning::kReset) {
        covered = check_life(begun, ranges, life_begin, beginning.entry);
        tell_reset(covered, beginning);
        life_begin = beginning.entry;
        begun = &beginning;
      }
    }
    covered = check_life(begun, ranges, life_begin, history_.receipts.size());
    check_unread(covered);
  }

 private:
  template <typename Said>
  std::span<const typename Said::mapped_type::value_type> of_source(const Said& said) const {
    const auto place = said.find(scan_.partition());
    if (place == said.end()) {
      return {};
    }
    return place->second;
  }

  const ReceiptEntry& entry(const InputRange& range) const {
    return history_.receipts[range.entry];
  }

  /// The ranges of the receipts [first, last); returns how far they came.
  Offset check_life(const InputBeginning* begun, std::span<const InputRange> ranges,
                    std::size_t first, std::size_t last_entry) {
    const auto precedes = [&](const InputRange& range) {
      return range.entry >= first && range.entry < last_entry && range.entry < begun->entry;
    };
    // A beginning after ranges of an earlier version only says that they were found.
    Offset covered = kNoOffset;
    if (begun != nullptr && std::ranges::none_of(ranges, precedes)) {
      covered = begun->offset;
      tell_beginning(*begun);
    }
    const InputRange* last = nullptr;
    for (const InputRange& range : ranges) {
      if (range.entry < first || range.entry >= last_entry) {
        continue;
      }
      if (range.next <= range.from) {
        findings_.add(FindingKind::kAltered, stage_, 0,
                      fmt::format("{} claims {} from offset {} to offset {}", name_of(entry(range)),
                                  name_of(scan_.partition()), range.from.value, range.next.value));
        continue;
      }
      if (covered == kNoOffset) {
        check_before_first(range.from);
      } else {
        check_gap(covered, range.from,
                  last == nullptr ? "before its first receipt" : "between two receipts");
      }
      if (last != nullptr) {
        check_overlap(*last, range);
      }
      if (last == nullptr || range.next > last->next) {
        last = &range;
      }
      covered = std::max(covered, range.next);
    }
    return covered;
  }

  void tell_beginning(const InputBeginning& begun) {
    const StageSubject& stage = *history_.subject;
    if (begun.reason == Beginning::kNewPartition && stage.table && stage.table->is_upsert) {
      findings_.not_covered(
          fmt::format("{}: added after stage {} had begun: whether a row of the table is of the "
                      "newest record of its key, where other partitions have records of it, too",
                      name_of(scan_.partition()), stage_));
      return;
    }
    if (begun.reason == Beginning::kLatest || begun.reason == Beginning::kFound) {
      findings_.note(fmt::format(
          "{}: stage {} began at offset {} ({}); what lies before it is not its input",
          name_of(scan_.partition()), stage_, begun.offset.value,
          begun.reason != Beginning::kLatest ? "where its position was"
          : history_.is_cut ? "auto.offset.reset: latest; receipts of before were deleted, so this "
                              "may not have been its first start"
                            : "auto.offset.reset: latest, at its first start"));
    }
  }

  // What lies before is of no receipt of this stage: it was told to begin there.
  void tell_begun_by_reset(const InputBeginning& reset) {
    const ReceiptEntry& entry = history_.receipts[reset.entry];
    const std::string begun =
        fmt::format("{}: stage {} was begun at offset {} by a reset at {} ({})",
                    name_of(scan_.partition()), stage_, reset.offset.value,
                    to_iso8601_ms(WallTime(entry.receipt.committed_at_ms)), entry.place);
    if (reset.offset > scan_.start()) {
      findings_.not_covered(fmt::format("{}; {} before it are not covered", begun,
                                        name_offsets(scan_.start(), reset.offset)));
    } else {
      findings_.note(begun);
    }
  }

  // Which moves a position of its own past nothing but what was deleted.
  bool is_of_worker(const InputBeginning& reset) const {
    return history_.receipts[reset.entry].receipt.worker != kResetCommand;
  }

  void tell_reset(Offset covered, const InputBeginning& reset) {
    if (covered == kNoOffset) {
      tell_begun_by_reset(reset);
      return;
    }
    if (covered != kNoOffset && reset.offset > covered) {
      findings_.skipped(reset.offset - covered,
                        fmt::format("{} {}, by {} of stage {} ({})", name_of(scan_.partition()),
                                    name_offsets(covered, reset.offset),
                                    is_of_worker(reset) ? "onceflow run --skip-deleted" : "a reset",
                                    stage_, name_of(history_.receipts[reset.entry])));
    } else if (reset.offset < covered) {
      findings_.note(fmt::format("{} {} were read again by stage {}, by a reset ({})",
                                 name_of(scan_.partition()), name_offsets(reset.offset, covered),
                                 stage_, name_of(history_.receipts[reset.entry])));
    }
  }

  /// No receipt says where the stage began: it was of a version that did not, or is lost.
  void check_before_first(Offset from) {
    if (history_.is_cut) {
      return;  // noted
    }
    if (history_.subject->begins_at_earliest) {
      check_gap(scan_.start(), from, "before its first receipt");
    }
    const Offset unknown_to =
        history_.subject->begins_at_earliest ? std::min(from, scan_.start()) : from;
    if (unknown_to > Offset(0)) {
      findings_.not_covered(
          fmt::format("{} before offset {}: no receipt says where in it stage {} began",
                      name_of(scan_.partition()), unknown_to.value, stage_));
    }
  }

  // A gap without a record in it (markers, aborted records) loses nothing, if it can be read.
  void check_gap(Offset from, Offset next, std::string_view where) {
    if (next <= from) {
      return;
    }
    const Offset readable = std::max(from, scan_.start());
    const RecordTotals lost =
        readable < next ? scan_.committed_between(readable, next) : RecordTotals{};
    const std::int64_t deleted = std::min(next, readable) - from;
    if (deleted > 0) {
      findings_.add(
          FindingKind::kMissing, stage_, deleted + lost.count,
          fmt::format("{} {} were never accounted for by stage {} ({}, {} of them deleted since, "
                      "so nothing can read them any more)",
                      name_of(scan_.partition()), name_offsets(from, next), stage_, where,
                      count_of(deleted, "offset")));
    } else if (lost.count > 0) {
      findings_.add(FindingKind::kMissing, stage_, lost.count,
                    fmt::format("{} {} were never accounted for by stage {} ({}, {})",
                                name_of(scan_.partition()), name_offsets(from, next), stage_,
                                count_of(lost.count, "record"), where));
    } else if (scan_.is_compacted() && scan_.absent_between(readable, next) > 0) {
      findings_.not_covered(
          fmt::format("{} {} were never accounted for by stage {} ({}), and compaction has left "
                      "nothing of up to {} of them",
                      name_of(scan_.partition()), name_offsets(from, next), stage_, where,
                      scan_.absent_between(readable, next)));
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

  // What was there when the audit began to read receipts, and was behind them, was read; what was
  // deleted by then and is before them was not.
  void check_unread(Offset covered) {
    const auto before = history_.starts_before.find(scan_.partition());
    if (before == history_.starts_before.end()) {
      return;
    }
    const Offset start = before->second;
    if (covered == kNoOffset) {
      if (start > Offset(0) && !history_.receipts.empty() && !history_.is_cut) {
        findings_.not_covered(fmt::format(
            "{} before offset {}: deleted, and no receipt says whether stage {} had begun earlier",
            name_of(scan_.partition()), start.value, stage_));
      }
      return;
    }
    if (const auto position = history_.positions.find(scan_.partition());
        position != history_.positions.end()) {
      covered = std::max(covered, position->second);  // up to there it is told by the positions
    }
    if (covered < start) {
      findings_.add(FindingKind::kMissing, stage_, start - covered,
                    fmt::format("{} {} were deleted before stage {} had read them",
                                name_of(scan_.partition()), name_offsets(covered, start), stage_));
    }
  }

  const StageHistory& history_;
  const PartitionScan& scan_;
  const std::string& stage_;
  Findings& findings_;
};

// Where another stage of the file has taken the partition over: a sink that was put in front of a
// table reads what the table's stage read. The end: none has.
Offset taken_over_at(const std::vector<StageHistory>& all, const PartitionScan& scan) {
  Offset taken = scan.position();
  const TopicPartition& partition = scan.partition();
  for (const StageHistory& other : all) {
    if (std::ranges::find(other.subject->source_topics, partition.topic) ==
        other.subject->source_topics.end()) {
      continue;
    }
    if (const auto begun = other.beginnings.find(partition); begun != other.beginnings.end()) {
      taken = std::min(taken, begun->second.front().offset);
    }
    if (const auto read = other.ranges.find(partition); read != other.ranges.end()) {
      taken = std::min(taken, read->second.front().from);
    }
    if (const auto position = other.positions.find(partition);
        position != other.positions.end() && position->second != kNoOffset) {
      taken = std::min(taken, position->second);
    }
  }
  return taken;
}

// A topic that the stage does not read any more: what is behind its last receipt stays unread, up
// to where another stage has taken it over.
void check_left(const StageHistory& history, const std::vector<StageHistory>& all,
                const PartitionScan& scan, Findings& findings) {
  const Offset covered = std::max(history.covered_to(scan.partition()), scan.start());
  const Offset taken_over = taken_over_at(all, scan);
  const std::int64_t unread =
      covered < taken_over ? scan.committed_between(covered, taken_over).count : 0;
  const std::string left = fmt::format("{}: the file no longer names it as a source of stage {}",
                                       name_of(scan.partition()), history.subject->id);
  if (unread > 0) {
    findings.not_covered(fmt::format("{}; {} from offset {} on stay unread", left,
                                     count_of(unread, "record"), covered.value));
  } else {
    findings.note(left);
  }
}

void check_former(const StageHistory& history, const TopicPartition& source,
                  const FormerTopic& former, Findings& findings) {
  const std::string& stage = history.subject->id;
  if (history.beginnings.contains(source) || history.ranges.contains(source)) {
    findings.note(fmt::format(
        "{}: stage {} read {} from an earlier topic of that name, which no longer exists, so their "
        "contents cannot be compared",
        name_of(source), stage, count_of(former.record_count, "record")));
    return;
  }
  findings.add(FindingKind::kAltered, stage, 0,
               fmt::format("{}: another topic of that name: stage {} read a former one up to "
                           "offset {}, and none of this one's records are accounted for",
                           name_of(source), stage, former.covered_to.value));
}

}  // namespace

void check_tiling(const StageHistory& history, const std::vector<StageHistory>& all,
                  const Scans& scans, Findings& findings) {
  const std::vector<std::string>& sources = history.subject->source_topics;
  const auto is_left = [&](const TopicPartition& source) {
    return std::ranges::find(sources, source.topic) == sources.end();
  };
  const auto is_gone = [&](const TopicPartition& source) {
    if (scans.contains(source)) {
      return false;
    }
    if (is_left(source)) {
      findings.not_covered(fmt::format(
          "{}: stage {} has receipts for it, but the file no longer names it, and it does not "
          "exist any more",
          name_of(source), history.subject->id));
      return true;
    }
    findings.add(FindingKind::kMissing, history.subject->id, 0,
                 fmt::format("{} does not exist any more, but stage {} has receipts for it",
                             name_of(source), history.subject->id));
    return true;
  };
  for (const auto& [source, ranges] : history.ranges) {
    if (!is_gone(source) && is_left(source)) {
      const PartitionScan& scan = scans.find(source)->second;
      PartitionTiling(history, scan, findings).check();
      check_left(history, all, scan, findings);
    }
  }
  for (const auto& [source, former] : history.former) {
    if (history.ranges.contains(source) || !is_gone(source)) {
      check_former(history, source, former, findings);
    }
  }
  for (const std::string& topic : history.subject->source_topics) {
    for (auto scan = scans.lower_bound({topic, PartitionIndex(0)});
         scan != scans.end() && scan->first.topic == topic; ++scan) {
      if (!history.former.contains(scan->first) || history.beginnings.contains(scan->first) ||
          history.ranges.contains(scan->first)) {
        PartitionTiling(history, scan->second, findings).check();
      }
    }
  }
}

}  // namespace onceflow::audit
