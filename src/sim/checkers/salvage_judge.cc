#include "sim/checkers/salvage_judge.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "log/lost_offsets.h"
#include "log/topics.h"
#include "protocol/record_batch.h"

namespace onceflow::sim {

namespace {

constexpr std::size_t kReadBytes = 16 * 1024;

class SalvagedPartition {
 public:
  SalvagedPartition(const StorageHistory& history, const StoredPartition& stored,
                    log::Partition& partition, const log::SalvageReport& report, Findings& findings)
      : history_(history),
        stored_(stored),
        promised_end_(history.promised_end(stored)),
        partition_(partition),
        report_(report),
        findings_(findings),
        // A deletion that a loss of power has taken back may have been found again.
        accounted_to_(
            std::max(stored.log_start,
                     std::min(partition.log_start_offset(),
                              history.log_start_ever(
                                  partition.id().topic_id,
                                  static_cast<std::size_t>(partition.id().partition.value))))) {}

  void judge() {
    if (partition_.log_end_offset() < promised_end_) {
      report("LOG-2", fmt::format("ends at {}; offsets up to {} were given",
                                  partition_.log_end_offset().value, promised_end_.value));
    }
    read();
    account_up_to(promised_end_);
    for (const auto& [first, producer] : partition_.open_transactions()) {
      if (const auto end = end_of(producer, first); end && is_promised(end->first)) {
        report("TXN-1", fmt::format("the transaction from offset {} on is open; it ended at {}",
                                    first.value, end->first.value));
      }
    }
  }

 private:
  using End = std::pair<const Offset, StoredEnd>;

  void report(std::string_view invariant, std::string_view what) const {
    findings_.report(invariant, fmt::format("salvaged {}-{}: {}", partition_.topic().name,
                                            partition_.id().partition.value, what));
  }

  bool is_promised(Offset offset) const { return offset < promised_end_; }
  bool is_told(Offset offset) const {
    return std::ranges::any_of(report_.lost, [&](const log::LostOffsets& lost) {
      return lost.topic == partition_.topic().name && lost.partition == partition_.id().partition &&
             lost.from <= offset && offset < lost.next;
    });
  }

  // All that was promised before `offset` and has not been shown is told as lost.
  void account_up_to(Offset offset) {
    for (; accounted_to_ < std::min(offset, promised_end_); accounted_to_ = accounted_to_ + 1) {
      if (!is_told(accounted_to_)) {
        report("LOG-1", fmt::format("offset {} is neither saved nor told", accounted_to_.value));
        accounted_to_ = promised_end_;
        return;
      }
    }
  }

  void read() {
    const Offset end = partition_.log_end_offset();
    Offset from = partition_.log_start_offset();
    while (from < end) {
      Buffer bytes;
      const auto read =
          partition_.read(from, kReadBytes, log::IsolationLevel::kReadUncommitted, bytes);
      if (!read || bytes.empty()) {
        report("LOG-1", fmt::format("offset {} cannot be read", from.value));
        return;
      }
      protocol::RecordBatchReader batches{ByteView(bytes)};
      while (from < read->end) {
        const auto batch = batches.next();
        if (!batch || !*batch || !(*batch)->crc_matches()) {
          report("LOG-3", fmt::format("offset {} does not decode", from.value));
          return;
        }
        judge_batch(**batch);
        from = (*batch)->header().next_offset();
      }
    }
  }

  void judge_batch(const protocol::RecordBatchView& batch) {
    const protocol::RecordBatchHeader& header = batch.header();
    if (log::holds_lost_offsets(header)) {
      return;  // accounted for with what is not shown
    }
    account_up_to(header.base_offset);
    // The marker of what it has aborted itself stands where nothing is that was promised.
    const bool is_promised_place = is_promised(header.base_offset) && !is_told(header.base_offset);
    const bool is_right =
        is_promised_place ? StorageHistory::was_written(stored_, batch)
                          : history_.was_once_written(
                                partition_.id().topic_id,
                                static_cast<std::size_t>(partition_.id().partition.value), batch);
    if (!is_right && !history_.may_be_of_another_file(batch)) {
      report("LOG-3", fmt::format("what it shows at offset {} was not written there",
                                  header.base_offset.value));
    }
    accounted_to_ = std::max(accounted_to_, header.next_offset());
    if (header.is_transactional() && !header.is_control()) {
      judge_outcome(header);
    }
  }

  void judge_outcome(const protocol::RecordBatchHeader& header) {
    const auto end = end_of(header.producer_id, header.base_offset);
    if (!end) {
      return;
    }
    const auto aborted = partition_.aborted_transactions(header.base_offset, header.next_offset());
    const auto abort = std::ranges::find_if(aborted, [&](const auto& each) {
      return each.producer == header.producer_id && each.first_offset <= header.base_offset &&
             header.base_offset <= each.last_offset;
    });
    const bool is_aborted = abort != aborted.end();
    const bool is_visible = !is_aborted && header.base_offset < partition_.last_stable_offset();
    if (is_visible && !end->second.is_commit) {
      report("TXN-1",
             fmt::format("offset {} was aborted and is visible", header.base_offset.value));
    }
    if (is_aborted && end->second.is_commit && is_promised(end->first) &&
        !has_lost(abort->first_offset, std::max(end->first, abort->last_offset))) {
      report("TXN-1",
             fmt::format("offset {} was committed and is aborted", header.base_offset.value));
    }
  }

  // Where a transaction has lost something, its end may be lost too.
  bool has_lost(Offset first, Offset last) const {
    return std::ranges::any_of(report_.lost, [&](const log::LostOffsets& lost) {
      return lost.topic == partition_.topic().name && lost.partition == partition_.id().partition &&
             lost.from <= last && first < lost.next;
    });
  }

  std::optional<End> end_of(ProducerId producer, Offset after) const {
    const auto found =
        std::find_if(stored_.ends.upper_bound(after), stored_.ends.end(),
                     [&](const auto& end) { return end.second.producer == producer; });
    return found == stored_.ends.end() ? std::nullopt : std::optional<End>(*found);
  }

  const StorageHistory& history_;
  const StoredPartition& stored_;
  const Offset promised_end_;
  log::Partition& partition_;
  const log::SalvageReport& report_;
  Findings& findings_;
  Offset accounted_to_;
};

}  // namespace

void judge_salvaged(const StorageHistory& history, log::Log& log, const log::SalvageReport& report,
                    Findings& findings) {
  for (const auto& [name, stored] : history.now().topics) {
    const auto found = std::ranges::find_if(
        log.topics().by_name(), [&](const auto& each) { return each.second->id == stored.id; });
    const bool is_there = found != log.topics().by_name().end();
    for (std::size_t index = 0; index < stored.partitions.size(); ++index) {
      const StoredPartition& partition = stored.partitions[index];
      if (is_there && index < found->second->partitions.size()) {
        SalvagedPartition(history, partition, *found->second->partitions[index], report, findings)
            .judge();
      } else if (history.promised_end(partition) > partition.log_start &&
                 report.lost_states.empty()) {
        findings.report("LOG-1",
                        fmt::format("salvaged: {}-{} is gone, and nothing tells it", name, index));
      }
    }
  }
}

}  // namespace onceflow::sim
