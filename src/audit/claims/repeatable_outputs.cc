#include "audit/claims/repeatable_outputs.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "audit/names.h"

namespace onceflow::audit {
namespace {

/// How many places are tried for the records of one receipt.
constexpr std::size_t kPlacesTriedMax = std::size_t{1} << 20;
/// Repeats that are named in the note of a partition.
constexpr std::size_t kNamedRepeatsMax = 5;

/// What a receipt says it left in one partition.
struct Expected {
  std::size_t entry = 0;
  RecordTotals totals;
};

struct Absent {
  TopicPartition partition;
  RecordTotals totals;
};

/// What one producer wrote to one partition, in its order, and what of it receipts account for.
/// A producer writes the records of one commit after those of the one before.
class ProducerRecords {
 public:
  explicit ProducerRecords(const std::vector<StoredRecord>& records)
      : records_(records), sums_(records.size() + 1), is_accounted_(records.size()) {
    for (std::size_t index = 0; index < records.size(); ++index) {
      sums_[index + 1] = sums_[index] + records[index].hash;
    }
  }

  /// Finds the records of the next receipt; false if they are nowhere behind those of the last.
  bool take(const RecordTotals& totals) {
    const auto count = static_cast<std::size_t>(totals.count);
    for (std::size_t tried = 0; tried < kPlacesTriedMax; ++tried) {
      const std::size_t begin = next_ + tried;
      if (begin + count > records_.size()) {
        return false;
      }
      if (sums_[begin + count] - sums_[begin] == totals.hash_sum) {
        std::fill_n(is_accounted_.begin() + static_cast<std::ptrdiff_t>(begin), count, true);
        next_ = begin + count;
        return true;
      }
    }
    return false;
  }

  std::vector<Offset> unaccounted() const {
    std::vector<Offset> offsets;
    for (std::size_t index = 0; index < records_.size(); ++index) {
      if (!is_accounted_[index]) {
        offsets.push_back(records_[index].offset);
      }
    }
    return offsets;
  }

 private:
  const std::vector<StoredRecord>& records_;
  std::vector<std::uint64_t> sums_;
  std::vector<bool> is_accounted_;
  std::size_t next_ = 0;
};

class RepeatableOutputs {
 public:
  RepeatableOutputs(const StageHistory& history, const Scans& scans, Findings& findings)
      : history_(history), scans_(scans), findings_(findings) {}

  std::int64_t check() {
    gather();
    for (const OutputTopicSubject& topic : history_.subject->output_topics) {
      for (auto scan = scans_.lower_bound({topic.name, PartitionIndex(0)});
           scan != scans_.end() && scan->first.topic == topic.name; ++scan) {
        match(scan->second);
      }
    }
    for (const auto& [entry, absent] : absent_) {
      judge(entry, absent);
    }
    return repeat_count_ + repeated_by_receipts();
  }

 private:
  using ByProducer = std::map<ProducerIdentity, std::vector<Expected>>;

  void gather() {
    for (std::size_t entry = 0; entry < history_.receipts.size(); ++entry) {
      const ReceiptEntry& receipt = history_.receipts[entry];
      if (receipt.is_transactional) {
        continue;  // of a time when the stage was exactly once: judged as such
      }
      for (const protocol::Receipt::Output& output : receipt.receipt.outputs) {
        const TopicPartition partition{output.name, output.partition};
        const RecordTotals totals{output.record_count, output.record_hash_sum};
        if (scans_.contains(partition)) {
          expected_[partition][receipt.producer].push_back({entry, totals});
        } else {
          absent_[entry].push_back({partition, totals});
        }
      }
    }
  }

  void match(const PartitionScan& scan) {
    if (scan.is_compacted() || scan.start() > Offset(0)) {
      findings_.note(
          fmt::format("{}: records were deleted, so the output of stage {} there cannot "
                      "be compared",
                      name_of(scan.partition()), history_.subject->id));
      return;
    }
    std::vector<Offset> repeats;
    const ByProducer& expected = expected_[scan.partition()];
    for (const auto& [producer, records] : scan.records()) {
      ProducerRecords stored(records);
      if (const auto of_producer = expected.find(producer); of_producer != expected.end()) {
        for (const Expected& one : of_producer->second) {
          if (!stored.take(one.totals)) {
            absent_[one.entry].push_back({scan.partition(), one.totals});
          }
        }
      }
      const std::vector<Offset> rest = stored.unaccounted();
      repeats.insert(repeats.end(), rest.begin(), rest.end());
    }
    for (const auto& [producer, of_producer] : expected) {
      if (!scan.records().contains(producer)) {
        for (const Expected& one : of_producer) {
          absent_[one.entry].push_back({scan.partition(), one.totals});
        }
      }
    }
    tell_repeats(scan, std::move(repeats));
  }

  // Of attempts whose commit was given up, or of others: allowed, so a note.
  void tell_repeats(const PartitionScan& scan, std::vector<Offset> repeats) {
    if (repeats.empty()) {
      return;
    }
    std::ranges::sort(repeats);
    std::string places;
    std::size_t run_count = 0;
    for (std::size_t begin = 0; begin < repeats.size();) {
      std::size_t end = begin + 1;
      while (end < repeats.size() && repeats[end] == repeats[end - 1] + 1) {
        ++end;
      }
      if (++run_count <= kNamedRepeatsMax) {
        places += (begin == 0 ? "" : ", ") + name_offsets(repeats[begin], repeats[end - 1] + 1);
      }
      begin = end;
    }
    const auto count = static_cast<std::int64_t>(repeats.size());
    repeat_count_ += count;
    findings_.note(fmt::format(
        "{}: {} that no receipt accounts for ({}{}): repeats, as at_least_once allows, or "
        "records of another writer",
        name_of(scan.partition()), count_of(count, "record"), places,
        run_count > kNamedRepeatsMax ? ", …" : ""));
  }

  void judge(std::size_t entry, const std::vector<Absent>& absent) {
    const ReceiptEntry& receipt = history_.receipts[entry];
    if (!receipt.is_settled || !is_committed(receipt.receipt) || is_covered_by_others(entry)) {
      return;
    }
    for (const Absent& one : absent) {
      if (one.totals.count > 0) {
        findings_.add(FindingKind::kMissing, history_.subject->id, one.totals.count,
                      fmt::format("stage {} wrote {} to {} in {}; they are not there, or not as "
                                  "they were written",
                                  history_.subject->id, count_of(one.totals.count, "record"),
                                  name_of(one.partition), name_of(receipt)));
      }
    }
  }

  /// The positions have passed it, so all that it wrote had been acknowledged.
  bool is_committed(const protocol::Receipt& receipt) const {
    return std::ranges::all_of(receipt.inputs, [&](const protocol::Receipt::Input& input) {
      const auto position = history_.positions.find(input.source);
      return position != history_.positions.end() && position->second >= input.next_offset;
    });
  }

  /// Receipts whose output is there cover the same input, so nothing is missing.
  bool is_covered_by_others(std::size_t entry) const {
    return std::ranges::all_of(
        history_.receipts[entry].receipt.inputs, [&](const protocol::Receipt::Input& input) {
          const auto ranges = history_.ranges.find(input.source);
          Offset covered_to = input.from_offset;
          if (ranges != history_.ranges.end()) {
            for (const InputRange& range : ranges->second) {
              if (!absent_.contains(range.entry) && range.from <= covered_to) {
                covered_to = std::max(covered_to, range.next);
              }
            }
          }
          return covered_to >= input.next_offset;
        });
  }

  /// Output of receipts all of whose input earlier receipts have accounted for.
  std::int64_t repeated_by_receipts() const {
    std::map<TopicPartition, Offset> covered_to;
    std::int64_t count = 0;
    for (std::size_t entry = 0; entry < history_.receipts.size(); ++entry) {
      if (absent_.contains(entry)) {
        continue;
      }
      const protocol::Receipt& receipt = history_.receipts[entry].receipt;
      bool is_repeat = !receipt.inputs.empty();
      for (const protocol::Receipt::Input& input : receipt.inputs) {
        const auto [place, is_first] = covered_to.try_emplace(input.source, kNoOffset);
        is_repeat = is_repeat && input.next_offset <= place->second;
        place->second = std::max(place->second, input.next_offset);
      }
      for (const protocol::Receipt::Output& output : receipt.outputs) {
        count += is_repeat ? output.record_count : 0;
      }
    }
    return count;
  }

  const StageHistory& history_;
  const Scans& scans_;
  Findings& findings_;
  std::map<TopicPartition, ByProducer> expected_;
  /// By entry: what of its output was not found.
  std::map<std::size_t, std::vector<Absent>> absent_;
  std::int64_t repeat_count_ = 0;
};

}  // namespace

std::int64_t check_repeatable_outputs(const StageHistory& history, const Scans& scans,
                                      Findings& findings) {
  return RepeatableOutputs(history, scans, findings).check();
}

}  // namespace onceflow::audit
