#include "log/partition.h"

#include <algorithm>

#include "base/check.h"
#include "log/topics.h"

namespace onceflow::log {

Partition::Partition(const Topic& topic, PartitionIndex index, SegmentFiles& files,
                     std::string directory, const std::function<void(const Error&)>& on_damage)
    : id_{topic.id, index},
      topic_(topic),
      on_damage_(on_damage),
      segments_(files, std::move(directory), partition_seed(id_)) {}

Partition::~Partition() = default;

// A damaged segment is the owner's to hear of, once; clients get the protocol's error.
template <typename T>
Answer<T> Partition::answer(Result<T> result) {
  if (result) {
    return *std::move(result);
  }
  if (on_damage_ && !std::exchange(damage_reported_, true)) {
    on_damage_(result.error());
  }
  return std::unexpected(protocol::ErrorCode::kKafkaStorageError);
}

// --- Reading ---

Answer<Partition::ReadBatches> Partition::read(Offset from, std::size_t bytes_max,
                                               IsolationLevel isolation, Buffer& destination,
                                               FirstBatch first_batch) {
  if (from < log_start_offset_ || from > high_watermark_) {
    return std::unexpected(protocol::ErrorCode::kOffsetOutOfRange);
  }
  const Offset upper = visible_end(isolation);
  Segment* segment = segments_.find(from);
  if (segment == nullptr || from >= upper) {
    return ReadBatches{0, from};
  }
  Offset end;
  auto bytes = answer(segment->read(from, bytes_max, upper, first_batch, destination, end));
  if (!bytes) {
    return std::unexpected(bytes.error());
  }
  return ReadBatches{*bytes, end};
}

Answer<std::size_t> Partition::first_batch_bytes(Offset from, IsolationLevel isolation) {
  Segment* const segment = segments_.find(from);
  if (segment == nullptr || from < log_start_offset_ || from >= visible_end(isolation)) {
    return std::size_t{0};
  }
  return answer(segment->batch_bytes(from));
}

std::size_t Partition::readable_bytes(Offset from, IsolationLevel isolation) const {
  if (from < log_start_offset_ || from >= visible_end(isolation)) {
    return 0;
  }
  const Segment* segment = segments_.find(from);
  if (segment == nullptr) {
    return 0;
  }
  std::uint64_t bytes = segment->bytes_from(from);
  if (!segments_.empty() && segment != segments_.all().back().get()) {
    bytes += segments_.all().back()->size_bytes();  // more than enough for any fetch.min.bytes
  }
  return static_cast<std::size_t>(bytes);
}

std::vector<AbortedTransaction> Partition::aborted_transactions(Offset from, Offset upper) const {
  std::vector<AbortedTransaction> result;
  auto place = std::ranges::lower_bound(aborted_, from, {}, &AbortedTransaction::last_offset);
  for (; place != aborted_.end(); ++place) {
    if (place->first_offset < upper) {
      result.push_back(*place);
    }
    if (place->last_stable_offset >= upper) {
      break;
    }
  }
  return result;
}

bool BatchOfTime::is_compressed() const {
  const auto header = protocol::RecordBatchHeader::parse(bytes);
  return header && header->codec() != protocol::CompressionCodec::kNone;
}

Result<std::optional<TimestampOffset>> BatchOfTime::find_record() const {
  const auto batch = protocol::RecordBatchView::parse(bytes);
  RETURN_IF_ERROR(batch);
  const protocol::RecordBatchHeader& header = batch->header();
  if (header.timestamp_type() == protocol::TimestampType::kLogAppendTime || header.is_control()) {
    return TimestampOffset{header.max_timestamp, header.base_offset};
  }
  const auto decoded = protocol::DecodedBatch::decode(*batch);
  RETURN_IF_ERROR(decoded);
  for (protocol::RecordReader records = decoded->records();
       const protocol::RecordView& record : records) {
    if (header.timestamp_of(record) >= timestamp) {
      return TimestampOffset{header.timestamp_of(record), header.offset_of(record)};
    }
  }
  return std::nullopt;
}

Answer<std::optional<BatchOfTime>> Partition::find_batch_by_timestamp(std::int64_t timestamp,
                                                                      IsolationLevel isolation) {
  using Found = std::optional<BatchOfTime>;
  const Offset upper = visible_end(isolation);
  for (const auto& segment : segments_.all()) {
    if (segment->base_offset() >= upper) {
      break;
    }
    if (segment->max_timestamp() < timestamp) {
      continue;
    }
    BatchOfTime batch{.timestamp = timestamp};
    auto is_found = segment->read_by_timestamp(timestamp, upper, batch.bytes);
    if (!is_found) {
      return answer<Found>(std::unexpected(std::move(is_found).error()));
    }
    if (*is_found) {
      return batch;
    }
  }
  return Found(std::nullopt);
}

Answer<std::optional<BatchOfTime>> Partition::find_batch_of_max_timestamp(
    IsolationLevel isolation) {
  using Found = std::optional<BatchOfTime>;
  const Offset upper = visible_end(isolation);
  std::int64_t greatest = -1;
  for (const auto& segment : segments_.all()) {
    if (segment->base_offset() >= upper) {
      break;
    }
    auto here = segment->max_timestamp_before(upper);
    if (!here) {
      return answer<Found>(std::unexpected(std::move(here).error()));
    }
    greatest = std::max(greatest, *here);
  }
  return greatest < 0 ? Answer<Found>(std::nullopt) : find_batch_by_timestamp(greatest, isolation);
}

Answer<std::optional<TimestampOffset>> Partition::answer_found(
    Result<std::optional<TimestampOffset>> found) {
  auto answered = answer(std::move(found));
  if (answered && *answered && (*answered)->offset < log_start_offset_) {
    (*answered)->offset = log_start_offset_;
  }
  return answered;
}

// --- Writing ---

Segment& Partition::apply_batch(const OwnedBytes& batch, const protocol::RecordBatchHeader& header,
                                JournalPosition position, MonotonicTime now) {
  CHECK_INVARIANT("LOG-2", header.base_offset == log_end_offset_);
  Segment& segment =
      segments_.append(batch, header, static_cast<std::uint64_t>(topic_.config.segment_bytes));
  log_end_offset_ = header.next_offset();
  if (header.has_producer_id()) {
    const bool is_stamped = header.timestamp_type() == protocol::TimestampType::kLogAppendTime;
    const IncomingBatch incoming = IncomingBatch::of(header);
    const bool opens_transaction =
        producers_.apply(incoming,
                         {.first_sequence = incoming.first_sequence,
                          .last_sequence = incoming.last_sequence(),
                          .first_offset = header.base_offset,
                          .last_offset = header.last_offset(),
                          .timestamp = is_stamped ? header.max_timestamp : -1,
                          .journal_position = position},
                         header.max_timestamp, now);
    if (opens_transaction) {
      open_transactions_.emplace(header.base_offset, header.producer_id);
    }
  }
  return segment;
}

Segment& Partition::apply_marker(const protocol::EndTransactionMarker& marker, MonotonicTime now,
                                 ProducerStates::Room room) {
  const Offset offset = log_end_offset_;
  const Buffer batch = protocol::encode_end_transaction_marker(marker, offset, 0);
  const auto header = protocol::RecordBatchHeader::parse(batch);
  CHECK(header.has_value());
  Segment& segment = segments_.append({batch, nullptr}, *header,
                                      static_cast<std::uint64_t>(topic_.config.segment_bytes));
  log_end_offset_ = header->next_offset();
  const auto began = producers_.apply_marker(marker.producer, marker.coordinator_epoch,
                                             marker.timestamp_ms, now, room);
  if (!began) {
    return segment;  // no data of it here: nothing was unstable, nothing is aborted
  }
  open_transactions_.erase(*began);
  ended_not_durable_.push_back({*began, offset});
  if (marker.type == protocol::ControlRecordType::kAbort) {
    const Offset stable = open_transactions_.empty()
                              ? log_end_offset_
                              : std::min(log_end_offset_, open_transactions_.begin()->first);
    aborted_.push_back({marker.producer.id, *began, offset, stable});
  }
  return segment;
}

Offset Partition::first_unstable_offset() const {
  Offset first = log_end_offset_;
  if (!open_transactions_.empty()) {
    first = open_transactions_.begin()->first;
  }
  if (!skips_unsynced_markers_) {
    for (const EndedTransaction& ended : ended_not_durable_) {
      first = std::min(first, ended.first_offset);
    }
  }
  return first;
}

void Partition::update_last_stable_offset() {
  const Offset stable = std::min(high_watermark_, first_unstable_offset());
  CHECK_INVARIANT("LOG-3", stable >= last_stable_offset_);
  CHECK_INVARIANT("TXN-1", skips_unsynced_markers_ || ended_not_durable_.empty() ||
                               stable <= ended_not_durable_.front().marker_offset);
  last_stable_offset_ = stable;
}

bool Partition::advance_high_watermark(Offset end) {
  CHECK_INVARIANT("LOG-3", end >= high_watermark_ && end <= log_end_offset_);
  const Offset old_stable = last_stable_offset_;
  const bool has_moved = end > high_watermark_;
  high_watermark_ = end;
  if (!ended_not_durable_.empty()) {
    const auto durable_end =
        std::ranges::lower_bound(ended_not_durable_, end, {}, &EndedTransaction::marker_offset);
    ended_not_durable_.erase(ended_not_durable_.begin(), durable_end);
  }
  update_last_stable_offset();
  return has_moved || last_stable_offset_ != old_stable;
}

std::vector<std::unique_ptr<Segment>> Partition::apply_log_start(Offset offset) {
  log_start_offset_ = std::max(log_start_offset_, std::min(offset, last_stable_offset_));
  aborted_.erase(aborted_.begin(), std::ranges::lower_bound(aborted_, log_start_offset_, {},
                                                            &AbortedTransaction::last_offset));
  return segments_.take_before(log_start_offset_);
}

Offset Partition::retention_start(std::int64_t now_ms) const {
  const TopicConfig& config = topic_.config;
  Offset start = log_start_offset_;
  if (!config.cleanup_delete) {
    return start;
  }
  std::uint64_t left_bytes = segments_.size_bytes();
  const auto& segments = segments_.all();
  const auto tells_its_age = [&](const auto& segment) {
    return segment->max_timestamp() >= 0 && segment->max_timestamp() <= now_ms;
  };
  // The first segment from this one on whose records tell how old they are. One that does not (its
  // latest timestamp lies in the future, or there is none) is at least as old as the next.
  auto aged = segments.begin();
  for (auto place = segments.begin(); place != segments.end(); ++place) {
    const auto& segment = *place;
    aged = std::find_if(std::max(aged, place), segments.end(), tells_its_age);
    // Never into what is not stable: an open transaction keeps its data.
    if (segment->next_offset() > last_stable_offset_) {
      break;
    }
    const bool is_active = segment == segments.back();
    const bool too_much =
        config.retention_bytes >= 0 && !is_active &&
        left_bytes - segment->size_bytes() >= static_cast<std::uint64_t>(config.retention_bytes);
    const bool too_old = config.retention_ms >= 0 && aged != segments.end() &&
                         now_ms - (*aged)->max_timestamp() > config.retention_ms;
    if (!too_much && !too_old) {
      break;
    }
    left_bytes -= segment->size_bytes();
    start = segment->next_offset();
  }
  return start;
}

}  // namespace onceflow::log
