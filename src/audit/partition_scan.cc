#include "audit/partition_scan.h"

#include <fmt/format.h>

#include <algorithm>

#include "audit/names.h"
#include "base/check.h"
#include "base/record_hash.h"
#include "protocol/control_batch.h"

namespace onceflow::audit {
namespace {

/// More defects of one partition than these are not told one by one.
constexpr std::size_t kDefectsMax = 1000;

// What the log puts where `onceflow salvage` could read nothing. A batch that compaction has
// emptied keeps the id of its producer, for which alone it stays.
bool holds_lost_offsets(const protocol::RecordBatchHeader& batch) {
  return batch.records_count == 0 && !batch.is_control() && !batch.has_producer_id();
}

}  // namespace

/// What a read_committed consumer would make of one answer: it leaves out the records of those
/// transactions that the answer lists as aborted, each from its first offset to its marker.
class PartitionScan::ConsumerView {
 public:
  explicit ConsumerView(std::vector<AbortedTransaction> aborted) : pending_(std::move(aborted)) {
    std::ranges::sort(pending_, {}, &AbortedTransaction::first_offset);
  }

  bool shows(const protocol::RecordBatchHeader& batch) {
    while (next_ < pending_.size() && pending_[next_].first_offset <= batch.last_offset()) {
      hidden_.insert(pending_[next_++].producer_id);
    }
    return !batch.is_transactional() || !hidden_.contains(batch.producer_id);
  }
  void end(ProducerId producer) { hidden_.erase(producer); }

 private:
  std::vector<AbortedTransaction> pending_;
  std::size_t next_ = 0;
  std::set<ProducerId> hidden_;
};

PartitionScan::PartitionScan(TopicPartition partition, Options options)
    : partition_(std::move(partition)),
      options_(std::move(options)),
      boundaries_(options_.boundaries.begin(), options_.boundaries.end()),
      segments_(boundaries_.size() + 1),
      stored_(boundaries_.size() + 1) {}

void PartitionScan::begin_at(Offset position) {
  CHECK(!begun_);
  begun_ = true;
  start_ = position;
  position_ = position;
}

Task<Status> PartitionScan::read_to_end(LogReader& reader) {
  const auto bounds = co_await reader.bounds(partition_);
  CO_RETURN_IF_ERROR(bounds);
  if (!begun_) {
    begun_ = true;
    start_ = bounds->start;
    position_ = bounds->start;
  } else if (bounds->high_watermark < position_) {
    co_return fail(ErrorCode::kCorrupt, name_of(partition_) + " became shorter while it was read");
  }
  last_stable_offset_ = bounds->last_stable_offset;
  // Up to the last stable offset as a consumer reads, so that what consumers are told is judged
  // too; after it as it is stored.
  while (position_ < bounds->high_watermark) {
    const Isolation isolation = position_ < bounds->last_stable_offset
                                    ? Isolation::kReadCommitted
                                    : Isolation::kReadUncommitted;
    const Offset before = position_;
    const auto fetched = co_await reader.fetch(partition_, position_, isolation);
    CO_RETURN_IF_ERROR(fetched);
    CO_RETURN_IF_ERROR(add_fetched(*fetched, isolation));
    if (position_ == before) {
      co_return fail(
          ErrorCode::kCorrupt,
          fmt::format("{}: the broker has nothing to read at offset {}, before its end "
                      "{}",
                      name_of(partition_), position_.value, bounds->high_watermark.value));
    }
  }
  co_return Status{};
}

Status PartitionScan::add_fetched(const FetchedBatches& fetched, Isolation isolation) {
  ConsumerView view(fetched.aborted_transactions);
  protocol::RecordBatchReader batches(fetched.bytes);
  while (true) {
    const auto batch = batches.next();
    if (!batch) {
      return fail(batch.error().code, fmt::format("{} after offset {}: {}", name_of(partition_),
                                                  position_.value, batch.error().text));
    }
    if (!*batch) {
      return {};
    }
    const protocol::RecordBatchHeader& header = (*batch)->header();
    Visibility visibility = Visibility::kUnknown;
    if (isolation == Isolation::kReadCommitted) {
      visibility = view.shows(header) ? Visibility::kShown : Visibility::kHidden;
    }
    if (header.next_offset() > position_) {
      RETURN_IF_ERROR(add(**batch, view, visibility));
    }
  }
}

Status PartitionScan::add(const protocol::RecordBatchView& batch, ConsumerView& view,
                          Visibility visibility) {
  const protocol::RecordBatchHeader& header = batch.header();
  if (header.base_offset > position_) {
    note_hole(position_, header.base_offset);
  } else if (header.base_offset < position_ && position_ > start_) {
    defect(FindingKind::kDoubled, position_ - header.base_offset,
           fmt::format("{} {}: stored twice", name_of(partition_),
                       name_offsets(header.base_offset, position_)));
  }
  if (!batch.crc_matches() || header.is_control()) {
    stored_[segment_of(header.base_offset)] += header.records_count;
  }
  if (!batch.crc_matches()) {
    defect(FindingKind::kAltered, header.records_count,
           fmt::format("{} {}: the batch's checksum does not match", name_of(partition_),
                       name_offsets(header.base_offset, header.next_offset())));
  } else if (header.is_control()) {
    add_marker(batch);
    view.end(header.producer_id);
  } else {
    RETURN_IF_ERROR(add_data(batch, visibility));
  }
  position_ = header.next_offset();
  return {};
}

Status PartitionScan::add_data(const protocol::RecordBatchView& batch, Visibility visibility) {
  const protocol::RecordBatchHeader& header = batch.header();
  check_sequence(header);
  if (!header.is_transactional()) {
    return add_records(batch, nullptr);
  }
  const auto place = open_.find(header.producer_id);
  if (place != open_.end() && place->second.transaction.producer != header.producer()) {
    // A new life of the producer begins only after the old one's transaction has been ended.
    const PartitionTransaction& left = place->second.transaction;
    defect(FindingKind::kTorn, left.totals.count,
           fmt::format("{} {}: the transaction of producer {} epoch {} was never ended, and epoch "
                       "{} wrote after it",
                       name_of(partition_), name_offsets(left.first_offset, left.last_offset + 1),
                       left.producer.id.value, left.producer.epoch.value,
                       header.producer_epoch.value));
    ended_.push_back(left);
    open_.erase(place);
  }
  Open& open = open_[header.producer_id];
  if (open.transaction.totals.count == 0) {
    open.transaction.producer = header.producer();
    open.transaction.is_transactional = true;
    open.transaction.first_offset = std::max(header.base_offset, position_);
  }
  open.was_shown = open.was_shown || visibility == Visibility::kShown;
  open.was_hidden = open.was_hidden || visibility == Visibility::kHidden;
  return add_records(batch, &open);
}

Status PartitionScan::add_records(const protocol::RecordBatchView& batch, Open* open) {
  const protocol::RecordBatchHeader& header = batch.header();
  const auto decoded = protocol::DecodedBatch::decode(batch);
  if (!decoded) {
    return fail(decoded.error().code, fmt::format("{} offset {}: {}", name_of(partition_),
                                                  header.base_offset.value, decoded.error().text));
  }
  protocol::RecordReader records = decoded->records();
  Offset expected = std::max(header.base_offset, position_);
  for (const protocol::RecordView& record : records) {
    const Offset offset = header.offset_of(record);
    if (offset < position_) {
      continue;
    }
    if (offset > expected) {
      note_hole(expected, offset);
    }
    expected = offset + 1;
    const RecordTotals as_input{
        1, input_record_hash(partition_.partition, offset, record.key, record.value)};
    const std::size_t segment = segment_of(offset);
    ++stored_[segment];
    RecordTotals as_output{1, 0};
    if (options_.keeps_transactions || options_.keeps_records) {
      as_output.hash_sum = output_record_hash(partition_.partition, record.key, record.value);
    }
    if (open != nullptr) {
      open->by_segment[segment] += as_input;
      open->transaction.totals += as_output;
      open->transaction.last_offset = offset;
    } else {
      segments_[segment] += as_input;
      keep_run(header, offset, as_output);
      if (options_.keeps_records) {
        records_[header.producer()].push_back({offset, as_output.hash_sum});
      }
    }
    if (options_.observer != nullptr) {
      options_.observer->record(header, record, open == nullptr);
    }
  }
  if (!records.complete()) {
    return fail(ErrorCode::kCorrupt,
                fmt::format("{} {}: the records do not fill their batch", name_of(partition_),
                            name_offsets(header.base_offset, header.next_offset())));
  }
  if (holds_lost_offsets(header)) {
    note_lost(expected, header.next_offset());
  } else if (expected < header.next_offset()) {
    note_hole(expected, header.next_offset());
  }
  return {};
}

void PartitionScan::keep_run(const protocol::RecordBatchHeader& header, Offset offset,
                             const RecordTotals& totals) {
  if (!options_.keeps_transactions) {
    return;
  }
  if (ended_.empty() || ended_.back().is_transactional ||
      ended_.back().producer != header.producer() || ended_.back().last_offset + 1 != offset) {
    ended_.push_back({.producer = header.producer(),
                      .is_transactional = false,
                      .state = PartitionTransaction::State::kCommitted,
                      .first_offset = offset});
  }
  ended_.back().last_offset = offset;
  ended_.back().totals += totals;
}

void PartitionScan::add_marker(const protocol::RecordBatchView& batch) {
  const auto marker = protocol::parse_end_transaction_marker(batch);
  if (!marker) {
    defect(FindingKind::kAltered, 1,
           fmt::format("{} offset {}: {}", name_of(partition_), batch.header().base_offset.value,
                       marker.error().text));
    return;
  }
  if (!*marker) {
    return;
  }
  const bool is_committed = (*marker)->type == protocol::ControlRecordType::kCommit;
  // A partition that was added to a transaction and never written to has only the marker.
  if (const auto place = open_.find((*marker)->producer.id); place != open_.end()) {
    end_transaction(place->second, is_committed);
    open_.erase(place);
  }
}

void PartitionScan::end_transaction(Open& open, bool is_committed) {
  PartitionTransaction& transaction = open.transaction;
  const std::string where =
      fmt::format("{} {}", name_of(partition_),
                  name_offsets(transaction.first_offset, transaction.last_offset + 1));
  if (is_committed) {
    for (const auto& [segment, totals] : open.by_segment) {
      segments_[segment] += totals;
    }
    if (open.was_hidden) {
      defect(FindingKind::kMissing, transaction.totals.count,
             where + ": a committed transaction is hidden from read_committed readers");
    }
  } else if (open.was_shown) {
    defect(FindingKind::kForeign, transaction.totals.count,
           where + ": an aborted transaction is shown to read_committed readers");
  }
  transaction.state = is_committed ? PartitionTransaction::State::kCommitted
                                   : PartitionTransaction::State::kAborted;
  if (options_.keeps_transactions) {
    ended_.push_back(transaction);
  }
  if (options_.observer != nullptr) {
    options_.observer->decided(transaction.producer.id, is_committed);
  }
}

void PartitionScan::check_sequence(const protocol::RecordBatchHeader& header) {
  if (!header.has_producer_id() || header.base_sequence.value < 0) {
    return;
  }
  const auto [place, is_first] = tails_.try_emplace(
      header.producer_id,
      ProducerTail{header.producer_epoch, header.last_sequence(), header.last_offset()});
  if (is_first) {
    return;
  }
  ProducerTail& tail = place->second;
  const bool is_same_life = tail.epoch == header.producer_epoch;
  // Half of the circle ahead counts as ahead: sequences wrap from 2^31-1 to 0.
  const std::uint32_t ahead = (static_cast<std::uint32_t>(header.base_sequence.value) -
                               static_cast<std::uint32_t>(tail.last_sequence.value)) &
                              0x7fffffffU;
  if (is_same_life && (ahead == 0 || ahead > 0x40000000U)) {
    defect(FindingKind::kDoubled, header.records_count,
           fmt::format("{} {}: producer {} epoch {} sequences {}..{} are in the log already, up to "
                       "offset {}",
                       name_of(partition_), name_offsets(header.base_offset, header.next_offset()),
                       header.producer_id.value, header.producer_epoch.value,
                       header.base_sequence.value, header.last_sequence().value,
                       tail.last_offset.value));
    return;
  }
  tail = {header.producer_epoch, header.last_sequence(), header.last_offset()};
}

void PartitionScan::note_hole(Offset from, Offset next) {
  if (options_.is_compacted) {
    return;
  }
  holes_.emplace_back(from, next);
  defect(
      FindingKind::kMissing, next - from,
      fmt::format("{} {}: nothing is stored there", name_of(partition_), name_offsets(from, next)));
}

// Also of a compacted topic: compaction takes none of a key's newest records.
void PartitionScan::note_lost(Offset from, Offset next) {
  holes_.emplace_back(from, next);
  defect(FindingKind::kMissing, next - from,
         fmt::format("{} {}: lost: onceflow salvage found nothing there that could be read",
                     name_of(partition_), name_offsets(from, next)));
}

std::size_t PartitionScan::segment_of(Offset offset) {
  while (segment_ < boundaries_.size() && boundaries_[segment_] <= offset) {
    ++segment_;
  }
  return segment_;
}

RecordTotals PartitionScan::committed_between(Offset from, Offset next) const {
  RecordTotals totals;
  // The segment that begins at `from` is the one after the boundary `from`.
  const auto begin = std::ranges::upper_bound(boundaries_, from) - boundaries_.begin();
  const auto end = std::ranges::upper_bound(boundaries_, next - 1) - boundaries_.begin();
  for (auto segment = begin; segment <= end && from < next; ++segment) {
    totals += segments_[static_cast<std::size_t>(segment)];
  }
  return totals;
}

std::int64_t PartitionScan::stored_between(Offset from, Offset next) const {
  std::int64_t stored = 0;
  const auto begin = std::ranges::upper_bound(boundaries_, from) - boundaries_.begin();
  const auto end = std::ranges::upper_bound(boundaries_, next - 1) - boundaries_.begin();
  for (auto segment = begin; segment <= end && from < next; ++segment) {
    stored += stored_[static_cast<std::size_t>(segment)];
  }
  return stored;
}

std::int64_t PartitionScan::absent_between(Offset from, Offset next) const {
  return from < next ? (next - from) - stored_between(from, next) - lost_between(from, next) : 0;
}

std::int64_t PartitionScan::lost_between(Offset from, Offset next) const {
  std::int64_t lost = 0;
  for (const auto& [hole_from, hole_next] : holes_) {
    lost += std::max<std::int64_t>(0, std::min(next, hole_next) - std::max(from, hole_from));
  }
  return lost;
}

std::vector<PartitionTransaction> PartitionScan::transactions() const {
  std::vector<PartitionTransaction> all = ended_;
  std::ranges::sort(all, {}, &PartitionTransaction::first_offset);
  for (const auto& [producer, open] : open_) {
    all.push_back(open.transaction);
  }
  return all;
}

Offset PartitionScan::first_open_offset() const {
  Offset first = position_;
  for (const auto& [producer, open] : open_) {
    first = std::min(first, open.transaction.first_offset);
  }
  return first;
}

bool PartitionScan::is_open(ProducerIdentity producer) const {
  const auto place = open_.find(producer.id);
  return place != open_.end() && place->second.transaction.producer == producer;
}

void PartitionScan::defect(FindingKind kind, std::int64_t record_count, std::string text) {
  if (defects_.size() < kDefectsMax) {
    defects_.push_back({kind, record_count, std::move(text)});
  }
}

}  // namespace onceflow::audit
