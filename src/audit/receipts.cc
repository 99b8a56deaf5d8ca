#include "audit/receipts.h"

#include <fmt/format.h>

#include <algorithm>

#include "audit/names.h"

namespace onceflow::audit {

std::string name_of(const ReceiptEntry& entry) {
  return fmt::format("the commit of {} (worker {}, its commit {})", entry.place,
                     entry.receipt.worker, entry.receipt.commit_number);
}

/// Keeps receipts until their transaction is decided.
class ReceiptLog::Collector final : public RecordObserver {
 public:
  Collector(ReceiptLog& log, TopicPartition partition)
      : log_(log), partition_(std::move(partition)) {}

  void record(const protocol::RecordBatchHeader& batch, const protocol::RecordView& record,
              bool is_decided) override {
    const Offset offset = batch.offset_of(record);
    const std::string place =
        fmt::format("{} {}", name_of(partition_), name_offsets(offset, offset + 1));
    auto receipt = protocol::decode_receipt(record.value.value_or(ByteView{}));
    if (!receipt) {
      add_odd(batch, is_decided,
              {kind_of_odd(receipt.error()), fmt::format("{}: {}", place, receipt.error().text)});
      return;
    }
    if (receipt->pipeline != log_.pipeline_) {
      add_odd(batch, is_decided,
              {FindingKind::kForeign,
               fmt::format("{}: a receipt of pipeline {}", place, receipt->pipeline)});
      return;
    }
    ReceiptEntry entry{.receipt = std::move(*receipt),
                       .producer = batch.producer(),
                       .partition = partition_.partition,
                       .offset = offset,
                       .is_transactional = batch.is_transactional(),
                       .place = place};
    if (is_decided) {
      log_.entries_.push_back(std::move(entry));
    } else {
      std::vector<ReceiptEntry>& open = open_[batch.producer_id];
      if (!open.empty() && open.front().producer != entry.producer) {
        open.clear();  // of an earlier life, never ended
      }
      open.push_back(std::move(entry));
    }
  }

  void decided(ProducerId producer, bool is_committed) override {
    auto node = open_.extract(producer);
    if (!node.empty() && is_committed) {
      std::ranges::move(node.mapped(), std::back_inserter(log_.entries_));
    }
    auto odd = open_odd_.extract(producer);
    if (!odd.empty() && is_committed) {
      std::ranges::move(odd.mapped(), std::back_inserter(log_.odd_));
    }
  }

 private:
  void add_odd(const protocol::RecordBatchHeader& batch, bool is_decided, OddRecord odd) {
    (is_decided ? log_.odd_ : open_odd_[batch.producer_id]).push_back(std::move(odd));
  }

  ReceiptLog& log_;
  TopicPartition partition_;
  std::map<ProducerId, std::vector<ReceiptEntry>> open_;
  std::map<ProducerId, std::vector<OddRecord>> open_odd_;
};

ReceiptLog::ReceiptLog(std::string topic, std::string pipeline)
    : topic_(std::move(topic)), pipeline_(std::move(pipeline)) {}

ReceiptLog::~ReceiptLog() = default;

Task<Status> ReceiptLog::read_to_end(LogReader& reader, int pauses_max) {
  if (scans_.empty()) {
    const auto topic = co_await reader.describe(topic_);
    CO_RETURN_IF_ERROR(topic);
    const std::int32_t partition_count = *topic ? (*topic)->partition_count : 0;
    for (std::int32_t index = 0; index < partition_count; ++index) {
      const TopicPartition partition{topic_, PartitionIndex(index)};
      collectors_.push_back(std::make_unique<Collector>(*this, partition));
      scans_.emplace_back(partition, PartitionScan::Options{.observer = collectors_.back().get()});
    }
  }
  for (PartitionScan& scan : scans_) {
    CO_RETURN_IF_ERROR(co_await scan.read_to_end(reader));
    const Offset end = scan.position();
    for (int pause = 0; pause < pauses_max && scan.first_open_offset() < end; ++pause) {
      co_await reader.pause();
      CO_RETURN_IF_ERROR(co_await scan.read_to_end(reader));
    }
  }
  co_return Status{};
}

std::vector<ReceiptEntry> ReceiptLog::take() {
  std::vector<ReceiptEntry> entries = std::exchange(entries_, {});
  std::ranges::sort(entries, {}, [](const ReceiptEntry& entry) {
    return std::pair(entry.partition, entry.offset);
  });
  return entries;
}

bool ReceiptLog::is_cut() const {
  return std::ranges::any_of(scans_,
                             [](const PartitionScan& scan) { return scan.start() > Offset(0); });
}

}  // namespace onceflow::audit
