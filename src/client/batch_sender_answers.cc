// BatchSender: what becomes of a batch when its answer comes.
#include <fmt/format.h>

#include "client/batch_sender.h"
#include "client/broker_error.h"
#include "client/record_limits.h"
#include "protocol/record_batch.h"

namespace onceflow::client {

namespace {

std::optional<ByteView> key_of_first(ByteView batch) {
  const auto view = protocol::RecordBatchView::parse(batch);
  if (!view || view->header().codec() != protocol::CompressionCodec::kNone) {
    return std::nullopt;
  }
  protocol::RecordReader records(view->record_bytes(), view->header().records_count);
  protocol::RecordView first;
  return records.next(first) ? first.key : std::nullopt;
}

bool is_too_large(protocol::ErrorCode code) {
  return code == protocol::ErrorCode::kMessageTooLarge ||
         code == protocol::ErrorCode::kRecordListTooLarge;
}

}  // namespace

bool BatchSender::is_queued(const Sent& sent) const {
  const auto& queue = partitions_[sent.partition_index].queue;
  return std::ranges::find(queue, sent.batch) != queue.end();
}

void BatchSender::accept_answer(const std::vector<Sent>& sent,
                                const Result<Reply<protocol::ProduceResponse>>& reply) {
  for (const Sent& one : sent) {
    if (std::exchange(one.batch->in_flight, false) && is_queued(one)) {
      --partitions_[one.partition_index].in_flight_count;
    }
  }
  if (!reply) {
    if (reply.error().code == ErrorCode::kUnsupported) {
      fail(reply.error());
    }
    for (const Sent& one : sent) {
      repeat(one, reply.error());
    }
    return;
  }
  std::vector<bool> is_answered(sent.size());
  std::size_t expected = 0;  // answers come in the order of the request, as a rule
  for (const auto& topic : reply->body.responses) {
    for (const auto& result : topic.partition_responses) {
      for (std::size_t step = 0; step < sent.size(); ++step) {
        const std::size_t index = (expected + step) % sent.size();
        const TopicPartition& name = partitions_[sent[index].partition_index].name;
        if (name.partition.value == result.index && name.topic == topic.name) {
          is_answered[index] = true;
          accept_result(sent[index], result);
          expected = index + 1;
          break;
        }
      }
    }
  }
  for (std::size_t index = 0; index < sent.size(); ++index) {
    if (!is_answered[index]) {
      repeat(sent[index], Error{ErrorCode::kCorrupt, "Produce: no answer for a partition",
                                Recovery::kRetriable});
    }
  }
}

void BatchSender::accept_result(const Sent& sent,
                                const protocol::ProduceResponse::Partition& result) {
  using enum protocol::ErrorCode;
  if (!is_queued(sent)) {
    return;  // of a transaction that is over
  }
  Partition& partition = partitions_[sent.partition_index];
  const protocol::ErrorCode code = result.error_code;
  if (code == kNone) {
    acknowledge(sent, Offset(result.base_offset));
    return;
  }
  if (code == kDuplicateSequenceNumber) {
    acknowledge(sent, kNoOffset);
    return;
  }
  Error error = broker_error(
      code, fmt::format("Produce to {}-{}", partition.name.topic, partition.name.partition.value));
  if (result.error_message) {
    error.text += " (" + *result.error_message + ")";
  }
  if (is_wrong_leader(code)) {
    partition.leader = kNoNode;
    cluster_->forget_topic(partition.name.topic);
  }
  if (code == kUnknownProducerId && !transactional_id_) {
    must_begin_anew_ = true;
    repeat(sent, error);
    return;
  }
  // A gap is no surprise while a batch before this one is on its way for a second time.
  const bool follows_failed_one =
      code == kOutOfOrderSequenceNumber && partition.queue.front() != sent.batch;
  const bool is_worth_another_try =
      class_of_broker_error(code) == ErrorClass::kOnce && sent.batch->attempt_count < 2;
  if (follows_failed_one || is_worth_another_try || error.recovery == Recovery::kRetriable) {
    repeat(sent, error);
    return;
  }
  refuse(sent, code, std::move(error));
}

void BatchSender::refuse(const Sent& sent, protocol::ErrorCode code, Error error) {
  Partition& partition = partitions_[sent.partition_index];
  const Batch& batch = *sent.batch;
  const ErrorClass error_class = class_of_broker_error(code);
  if (error_class == ErrorClass::kRecord && batch.record_count > 1) {
    partition.batch_bytes_max =
        is_too_large(code) ? std::max<std::size_t>(1, batch.bytes.size() / 2) : 1;
    if (!transactional_id_ && split(sent)) {
      return;
    }
    error.text +=
        fmt::format("; its {} records are written again in smaller batches", batch.record_count);
    error.recovery = Recovery::kAbort;
  } else if (error_class == ErrorClass::kRecord) {
    refused_origin_ = batch.origin;
    const std::string record =
        describe_record(partition.name, batch.bytes.size(), key_of_first(batch.bytes));
    const bool breaks_known_limit =
        partition.message_bytes_max != 0 && batch.bytes.size() > partition.message_bytes_max;
    error.text = fmt::format(
        "{} is refused: {}{}", record, error.text,
        breaks_known_limit
            ? "; " + rule_of_topic(cluster_->options(), partition.name.topic, batch.bytes.size(),
                                   partition.message_bytes_max)
            : fix_of_topic(cluster_->options(), code, partition.name.topic, batch.bytes.size()));
  } else if (error_class == ErrorClass::kSetUp) {
    refused_origin_ = batch.origin;
  }
  if (!transactional_id_) {
    error.recovery = Recovery::kFatal;
  }
  fail(std::move(error));
}

// The halves, or the single records, take the place of the batch; their sequences are those that it
// had, so that the broker, which has taken none of them, finds no gap.
Status BatchSender::split(const Sent& sent) {
  Partition& partition = partitions_[sent.partition_index];
  const Batch& whole = *sent.batch;
  const auto view = protocol::RecordBatchView::parse(whole.bytes);
  RETURN_IF_ERROR(view);
  const auto decoded = protocol::DecodedBatch::decode(*view);
  RETURN_IF_ERROR(decoded);
  const std::int32_t records_max =
      partition.batch_bytes_max == 1 ? 1 : (whole.record_count + 1) / 2;
  std::vector<BatchPointer> parts;
  Sequence sequence = whole.base_sequence;
  for (const protocol::RecordView& record : decoded->records()) {
    if (parts.empty() || parts.back()->record_count == records_max) {
      BatchPointer& part = parts.emplace_back(std::make_shared<Batch>());
      part->origin = whole.origin;
      part->base_sequence = sequence;
      part->created_at = whole.created_at;
      part->attempt_count = 1;
    }
    parts.back()->builder.append(record, decoded->header().timestamp_of(record));
    ++parts.back()->record_count;
    sequence = protocol::advance_sequence(sequence, 1);
  }
  const auto place = std::ranges::find(partition.queue, sent.batch);
  buffered_bytes_ -= whole.accounted_bytes;
  for (const BatchPointer& part : parts) {
    part->accounted_bytes = part->builder.size_bytes();
    part->bytes = part->builder.finish({.producer = identity_,
                                        .base_sequence = part->base_sequence,
                                        .is_transactional = false,
                                        .codec = options_.compression});
    buffered_bytes_ += part->accounted_bytes;
  }
  partition.queue.insert(partition.queue.erase(place), parts.begin(), parts.end());
  partition.repeating = true;
  return {};
}

void BatchSender::acknowledge(const Sent& sent, Offset base_offset) {
  Partition& partition = partitions_[sent.partition_index];
  Batch& batch = *sent.batch;
  std::erase(partition.queue, sent.batch);
  partition.repeating = std::ranges::any_of(partition.queue, [](const BatchPointer& other) {
    return other->attempt_count > 0 && !other->in_flight;
  });
  if (base_offset.value >= 0) {
    partition.acknowledged_end = base_offset + batch.record_count;
  }
  buffered_bytes_ -= batch.accounted_bytes;
  statistics_.record_count += static_cast<std::uint64_t>(batch.record_count);
  ++statistics_.batch_count;
  // Of a sender that has failed it has been said that it was given up.
  if (on_delivery_ && !failure_ && !closed_) {
    on_delivery_({PartitionSlot(static_cast<std::uint32_t>(sent.partition_index)),
                  batch.record_count, base_offset});
  }
}

// Memory that was paid for once: fresh pages cost more than what is written into them. No more than
// was ever buffered at a time, and that is bounded.
void BatchSender::recycle(const BatchPointer& batch) {
  const std::size_t spare_count_max =
      1 + options_.buffer_bytes_max / std::max<std::size_t>(options_.batch_bytes_max, 1);
  const bool is_done = batch.use_count() == 1;
  if (is_done && spare_buffers_.size() < spare_count_max &&
      batch->bytes.capacity() <= 2 * options_.batch_bytes_max) {
    spare_buffers_.push_back(std::move(batch->bytes));
  }
}

void BatchSender::repeat(const Sent& sent, const Error& why) {
  if (!is_queued(sent)) {
    return;
  }
  if (frozen_) {
    fail(Error{why.code, why.text, Recovery::kAbort});
    return;
  }
  Partition& partition = partitions_[sent.partition_index];
  sent.batch->refusal = why.text;
  partition.repeating = true;
  const auto doublings = std::min(sent.batch->attempt_count - 1, 10);
  const Duration backoff = std::min(cluster_->options().retry_backoff * (1 << doublings),
                                    cluster_->options().retry_backoff_max);
  partition.retry_at = std::max(partition.retry_at, cluster_->scheduler().now() + backoff);
}

// The log has not handed out our identity: it is another log than the one that did, and has none of
// our batches. They go there under an identity of its own, from sequence 0.
void BatchSender::begin_anew() {
  must_begin_anew_ = false;
  identity_ = {};
  for (Partition& partition : partitions_) {
    partition.next_sequence = Sequence(0);
    partition.acknowledged_end = kNoOffset;
    for (const BatchPointer& batch : partition.queue) {
      batch->base_sequence = kNoSequence;
    }
  }
}

void BatchSender::expire(MonotonicTime now) {
  for (const Partition& partition : partitions_) {
    if (partition.queue.empty() || partition.in_flight_count > 0) {
      continue;
    }
    if (partition.queue.front()->created_at + options_.delivery_timeout < now) {
      Error error = timed_out_error(
          fmt::format("delivery to {}-{}", partition.name.topic, partition.name.partition.value),
          transactional_id_ ? Recovery::kAbort : Recovery::kFatal);
      error.text += last_refusal();
      fail(std::move(error));
      return;
    }
  }
}

std::string BatchSender::last_refusal() const {
  for (const Partition& partition : partitions_) {
    if (!partition.queue.empty() && !partition.queue.front()->refusal.empty()) {
      return "; last: " + partition.queue.front()->refusal;
    }
  }
  return {};
}

void BatchSender::fail(Error error) {
  if (failure_) {
    return;
  }
  failure_ = std::move(error);
  if (on_delivery_ && !closed_) {
    for (std::size_t index = 0; index < partitions_.size(); ++index) {
      if (!partitions_[index].open.empty()) {
        close_open_batch(partitions_[index]);
      }
      for (const BatchPointer& batch : partitions_[index].queue) {
        on_delivery_({PartitionSlot(static_cast<std::uint32_t>(index)), batch->record_count,
                      std::unexpected(*failure_)});
      }
    }
  }
  changed_.notify_all();
}

}  // namespace onceflow::client
