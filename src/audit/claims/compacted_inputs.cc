#include "audit/claims/compacted_inputs.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "audit/names.h"

namespace onceflow::audit {
namespace {

class CompactedInput {
 public:
  CompactedInput(const StageHistory& history, const PartitionScan& scan, Findings& findings)
      : history_(history),
        scan_(scan),
        covered_to_(history.covered_to(scan.partition())),
        findings_(findings) {
    find_unread();
  }

  bool has_unread() const { return unread_ > 0; }

  /// By offsets alone: they may have held markers, or records of aborted transactions.
  void tell_by_offsets() {
    findings_.not_covered(fmt::format(
        "{} {} is compacted: up to {} were compacted away before stage {} had read them (or held "
        "no record)",
        name_of(scan_.partition()), name_offsets(from_, next_), count_of(unread_, "offset"),
        history_.subject->id));
  }

  /// Of `written` records in all, `written_before` before the stage began.
  void tell_by_receipts(std::int64_t written, std::int64_t written_before) {
    const Offset end = scan_.position();
    const Offset covered = std::max(covered_to_, scan_.start());
    const std::int64_t lost = written - read_ - scan_.committed_between(covered, end).count;
    if (lost <= 0) {
      return;
    }
    const std::string& stage = history_.subject->id;
    // What is gone after the last receipt may have been read while the audit was reading; what
    // was there before the stage may have been gone by then.
    const std::int64_t certain = lost - scan_.absent_between(covered, end) - written_before;
    const bool is_upsert = history_.subject->table && history_.subject->table->is_upsert;
    const std::string text = fmt::format(
        "{} {} is compacted: {} that the pipeline wrote there were compacted away before stage {} "
        "had read them",
        name_of(scan_.partition()), name_offsets(from_, next_), count_of(lost, "record"), stage);
    if (certain > 0 && !is_upsert) {
      findings_.add(FindingKind::kMissing, stage, certain, text);
    } else {
      findings_.not_covered(
          text + (is_upsert ? ": its table holds the last that it read of each key"
                            : ", unless before it began, or while this audit was reading"));
    }
  }

 private:
  // What a range says was read, and what is stored there and is no record, account for offsets.
  void find_unread() {
    if (covered_to_ == kNoOffset) {
      return;
    }
    if (const auto ranges = history_.ranges.find(scan_.partition());
        ranges != history_.ranges.end()) {
      for (const InputRange& range : ranges->second) {
        read_ += range.totals.count;
        const Offset from = std::max(range.from, scan_.start());
        if (range.next <= from || range.from < scan_.start()) {
          continue;
        }
        const std::int64_t others = scan_.stored_between(from, range.next) -
                                    scan_.committed_between(from, range.next).count;
        add_unread(from, range.next,
                   (range.next - from) - range.totals.count - others -
                       scan_.lost_between(from, range.next));
      }
    }
    const Offset covered = std::max(covered_to_, scan_.start());
    add_unread(covered, scan_.position(), scan_.absent_between(covered, scan_.position()));
  }

  void add_unread(Offset from, Offset next, std::int64_t count) {
    if (count <= 0) {
      return;
    }
    from_ = unread_ == 0 ? from : std::min(from_, from);
    next_ = std::max(next_, next);
    unread_ += count;
  }

  const StageHistory& history_;
  const PartitionScan& scan_;
  const Offset covered_to_;
  Findings& findings_;
  std::int64_t unread_ = 0;
  std::int64_t read_ = 0;
  Offset from_{0};
  Offset next_{0};
};

bool begins_at_zero(const StageHistory& history, const TopicPartition& source) {
  const auto is_zero = [](const auto& said) { return said.from == Offset(0); };
  if (const auto begun = history.beginnings.find(source); begun != history.beginnings.end()) {
    return begun->second.front().offset == Offset(0);
  }
  const auto ranges = history.ranges.find(source);
  return ranges != history.ranges.end() && std::ranges::any_of(ranges->second, is_zero);
}

struct Written {
  std::int64_t records = 0;
  std::int64_t before = 0;  ///< before the reader's first receipt
};

/// None: something else may have written there, or been read there, than receipts say.
std::optional<Written> written_to(const TopicPartition& source, const StageHistory& reader,
                                  const std::vector<StageHistory>& histories) {
  if (!reader.subject->is_exactly_once || reader.is_cut || reader.receipts.empty() ||
      reader.last_reset(source) != nullptr || reader.former.contains(source) ||
      !begins_at_zero(reader, source)) {
    return std::nullopt;
  }
  const std::int64_t began_ms = reader.receipts.front().receipt.committed_at_ms;
  Written written;
  bool is_written = false;
  for (const StageHistory& writer : histories) {
    for (const ReceiptEntry& entry : writer.receipts) {
      for (const protocol::Receipt::Output& output : entry.receipt.outputs) {
        if (output.name != source.topic || output.partition != source.partition) {
          continue;
        }
        if (!entry.is_settled || !writer.subject->is_exactly_once || writer.is_cut) {
          return std::nullopt;
        }
        is_written = true;
        written.records += output.record_count;
        written.before += entry.receipt.committed_at_ms <= began_ms ? output.record_count : 0;
      }
    }
  }
  return is_written ? std::optional(written) : std::nullopt;
}

}  // namespace

void check_compacted_inputs(const std::vector<StageHistory>& histories,
                            const std::vector<StageHistory>& former, const Scans& scans,
                            Strangers strangers, Findings& findings) {
  const bool is_told_by_receipts =
      strangers == Strangers::kRefused && former.empty() && !reset_that_began(histories, former);
  for (const StageHistory& history : histories) {
    for (const std::string& topic : history.subject->source_topics) {
      for (auto scan = scans.lower_bound({topic, PartitionIndex(0)});
           scan != scans.end() && scan->first.topic == topic; ++scan) {
        if (!scan->second.is_compacted()) {
          continue;
        }
        CompactedInput input(history, scan->second, findings);
        if (!input.has_unread()) {
          continue;
        }
        const auto written = is_told_by_receipts && scan->second.start() == Offset(0)
                                 ? written_to(scan->first, history, histories)
                                 : std::nullopt;
        if (written) {
          input.tell_by_receipts(written->records, written->before);
        } else {
          input.tell_by_offsets();
        }
      }
    }
  }
}

}  // namespace onceflow::audit
