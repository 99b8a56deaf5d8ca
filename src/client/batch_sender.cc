// BatchSender: batches, requests and answers.
#include "client/batch_sender.h"

#include <fmt/format.h>

#include <bit>

#include "base/check.h"
#include "client/broker_error.h"
#include "client/record_limits.h"
#include "protocol/messages/22_init_producer_id.h"

namespace onceflow::client {

namespace {

/// What a broker remembers of a producer in a partition; more in flight could not be told from new
/// ones.
constexpr int kInFlightPerPartitionMax = 5;

std::unexpected<Error> too_large_for_request(std::string record, std::size_t bytes,
                                             std::size_t bytes_max) {
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("{}; the rule: none is larger than max.request.size, {} bytes; the fix: "
                          "write `max.request.size: {}` in the pipeline file, or make the record "
                          "smaller",
                          record, bytes_max, std::bit_ceil(bytes + 1)));
}

}  // namespace

std::shared_ptr<BatchSender> BatchSender::create(std::shared_ptr<Cluster> cluster,
                                                 ProducerOptions options,
                                                 std::optional<std::string> transactional_id) {
  struct Created : BatchSender {
    Created(std::shared_ptr<Cluster> c, ProducerOptions o, std::optional<std::string> id)
        : BatchSender(std::move(c), o, std::move(id)) {}
  };
  auto sender = std::make_shared<Created>(cluster, options, std::move(transactional_id));
  cluster->add_user(sender);
  return sender;
}

BatchSender::BatchSender(std::shared_ptr<Cluster> cluster, ProducerOptions options,
                         std::optional<std::string> transactional_id)
    : cluster_(std::move(cluster)),
      options_(options),
      transactional_id_(std::move(transactional_id)),
      channel_(cluster_->new_channel()),
      changed_(cluster_->scheduler()) {
  options_.in_flight_requests_max =
      std::clamp(options_.in_flight_requests_max, 1, kInFlightPerPartitionMax);
  options_.batch_bytes_max = std::min(options_.batch_bytes_max, options_.request_bytes_max);
}

PartitionSlot BatchSender::slot(const TopicPartition& partition) {
  const auto [place, is_new] =
      slots_.try_emplace(partition, PartitionSlot(static_cast<std::uint32_t>(partitions_.size())));
  if (is_new) {
    Partition& added = partitions_.emplace_back();
    added.name = partition;
    added.batch_bytes_max = options_.batch_bytes_max;
  }
  return place->second;
}

const TopicPartition& BatchSender::partition(PartitionSlot slot) const {
  return partitions_[slot.value].name;
}

Offset BatchSender::acknowledged_end(PartitionSlot slot) const {
  return partitions_[slot.value].acknowledged_end;
}

void BatchSender::on_delivery(Callback<void(const Delivery&)> callback) {
  on_delivery_ = std::move(callback);
}

ProducerStatistics BatchSender::statistics() const {
  ProducerStatistics statistics = statistics_;
  statistics.buffered_bytes = buffered_bytes_;
  return statistics;
}

void BatchSender::close() {
  if (closed_) {
    return;
  }
  closed_ = true;
  cluster_->scheduler().cancel(std::exchange(linger_timer_, 0));
  cluster_->scheduler().cancel(std::exchange(retry_timer_, 0));
  on_enrolment_needed_ = nullptr;
  cluster_->close_channel(channel_, cancelled_error());
  changed_.notify_all();
}

// ---- appending

void BatchSender::limit_batches(PartitionSlot slot, std::size_t bytes_max) {
  // A size that is a little above its record's own.
  constexpr std::size_t kRequestMargin = 1024;
  Partition& partition = partitions_[slot.value];
  partition.message_bytes_max = bytes_max;
  partition.batch_bytes_max = std::min(partition.batch_bytes_max, bytes_max);
  if (options_.request_bytes_follow_topics) {
    options_.request_bytes_max = std::max(options_.request_bytes_max, bytes_max + kRequestMargin);
  }
}

Status BatchSender::append(PartitionSlot slot, const protocol::NewRecord& record,
                           RecordOrigin origin) {
  if (failure_) [[unlikely]] {
    return std::unexpected(*failure_);
  }
  CHECK(slot.value < partitions_.size());
  Partition& partition = partitions_[slot.value];
  const std::size_t size_before = partition.open.size_bytes();
  if (partition.open.empty() ||
      !partition.open.append_if_it_fits(record, partition.batch_bytes_max)) {
    return append_to_new_batch(partition, record, origin);
  }
  buffered_bytes_ += partition.open.size_bytes() - size_before;
  return {};
}

Status BatchSender::append_to_new_batch(Partition& partition, const protocol::NewRecord& record,
                                        RecordOrigin origin) {
  const std::size_t bytes_max = protocol::RecordBatchBuilder::size_bytes_max(record);
  if (bytes_max + protocol::kBatchHeaderBytes > options_.request_bytes_max) {
    refused_origin_ = origin;
    return too_large_for_request(describe_record(partition.name, bytes_max, record.key), bytes_max,
                                 options_.request_bytes_max);
  }
  if (!partition.open.empty()) {
    close_open_batch(partition);
    pump_soon();
  }
  open_batch(partition);
  partition.open_origin = origin;
  partition.open.append(record);
  // How small a codec makes it only the broker sees.
  const std::size_t bytes = partition.open.size_bytes();
  if (partition.message_bytes_max != 0 && bytes > partition.message_bytes_max &&
      options_.compression == protocol::CompressionCodec::kNone) [[unlikely]] {
    partition.open.clear();
    partition.due = false;
    refused_origin_ = origin;
    return onceflow::fail(ErrorCode::kInvalidArgument,
                          fmt::format("{}; {}", describe_record(partition.name, bytes, record.key),
                                      rule_of_topic(cluster_->options(), partition.name.topic,
                                                    bytes, partition.message_bytes_max)));
  }
  buffered_bytes_ += bytes;
  return {};
}

void BatchSender::open_batch(Partition& partition) {
  Buffer memory;
  if (!spare_buffers_.empty()) {
    memory = std::move(spare_buffers_.back());
    spare_buffers_.pop_back();
  }
  memory.reserve(partition.previous_bytes);
  partition.open.reuse(std::move(memory));
  partition.opened_at = cluster_->scheduler().now();
  partition.due = false;
  if (options_.linger <= Duration{}) {
    partition.due = true;
    pump_soon();
  } else if (linger_timer_ == 0) {
    arm_linger(partition.opened_at + options_.linger);
  }
}

void BatchSender::close_open_batch(Partition& partition) {
  auto batch = std::make_shared<Batch>();
  batch->record_count = partition.open.records_count();
  batch->accounted_bytes = partition.open.size_bytes();
  batch->created_at = partition.opened_at;
  batch->origin = partition.open_origin;
  partition.previous_bytes = batch->accounted_bytes;
  batch->builder = std::exchange(partition.open, {});
  partition.due = false;
  partition.queue.push_back(std::move(batch));
}

Status BatchSender::append_batch(PartitionSlot slot, Buffer bytes) {
  if (failure_) {
    return std::unexpected(*failure_);
  }
  CHECK(slot.value < partitions_.size());
  Partition& partition = partitions_[slot.value];
  if (bytes.size() > options_.request_bytes_max) {
    return too_large_for_request(fmt::format("a batch of {} bytes for {}-{}", bytes.size(),
                                             partition.name.topic, partition.name.partition.value),
                                 bytes.size(), options_.request_bytes_max);
  }
  const auto view = protocol::RecordBatchView::parse(bytes);
  RETURN_IF_ERROR(view);
  const protocol::RecordBatchHeader& header = view->header();
  if (view->bytes().size() != bytes.size() || header.is_control() || header.records_count <= 0 ||
      header.records_count != header.last_offset_delta + 1) {
    return onceflow::fail(ErrorCode::kInvalidArgument,
                          fmt::format("batch for {}-{} is no single, whole batch of data",
                                      partition.name.topic, partition.name.partition.value));
  }
  if (!partition.open.empty()) {
    close_open_batch(partition);
  }
  auto batch = std::make_shared<Batch>();
  batch->record_count = header.records_count;
  batch->accounted_bytes = bytes.size();
  batch->created_at = cluster_->scheduler().now();
  batch->bytes = std::move(bytes);
  buffered_bytes_ += batch->accounted_bytes;
  partition.queue.push_back(std::move(batch));
  pump_soon();
  return {};
}

Task<Status> BatchSender::wait_for_room(MonotonicTime deadline) {
  const auto self = shared_from_this();
  while (!has_room() && !failure_ && !closed_) {
    if (!co_await changed_.wait_until(deadline)) {
      co_return std::unexpected(timed_out_error("room in buffer.memory"));
    }
  }
  if (failure_) {
    co_return std::unexpected(*failure_);
  }
  co_return closed_ ? Status(std::unexpected(cancelled_error())) : Status{};
}

Task<Status> BatchSender::flush(MonotonicTime deadline) {
  const auto self = shared_from_this();
  for (Partition& partition : partitions_) {
    partition.due = !partition.open.empty();
  }
  pump();
  while (!failure_ && !closed_ && has_data()) {
    if (!co_await changed_.wait_until(deadline) && has_data()) {
      Error error = timed_out_error("flush");
      error.text += last_refusal();
      co_return std::unexpected(std::move(error));
    }
  }
  if (failure_) {
    co_return std::unexpected(*failure_);
  }
  co_return closed_ ? Status(std::unexpected(cancelled_error())) : Status{};
}

// ---- timers

void BatchSender::arm_linger(MonotonicTime time) {
  linger_timer_ = cluster_->scheduler().schedule_at(time, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) {
      self->linger_timer_ = 0;
      self->linger_passed();
    }
  });
}

void BatchSender::linger_passed() {
  const MonotonicTime now = cluster_->scheduler().now();
  std::optional<MonotonicTime> next;
  for (Partition& partition : partitions_) {
    if (partition.open.empty() || partition.due) {
      continue;
    }
    const MonotonicTime due_at = partition.opened_at + options_.linger;
    if (due_at <= now) {
      partition.due = true;
    } else {
      next = next ? std::min(*next, due_at) : due_at;
    }
  }
  if (next) {
    arm_linger(*next);
  }
  pump();
}

void BatchSender::arm_retry(MonotonicTime time) {
  if (retry_timer_ != 0) {
    if (retry_armed_ <= time) {
      return;
    }
    cluster_->scheduler().cancel(retry_timer_);
  }
  retry_armed_ = time;
  retry_timer_ = cluster_->scheduler().schedule_at(time, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) {
      self->retry_timer_ = 0;
      self->pump();
    }
  });
}

void BatchSender::pump_soon() {
  if (!pump_posted_) {
    pump_posted_ = true;
    cluster_->scheduler().post([weak = weak_from_this()] {
      if (const auto self = weak.lock()) {
        self->pump_posted_ = false;
        self->pump();
      }
    });
  }
}

// ---- sending

bool BatchSender::has_sendable(const Partition& partition, MonotonicTime now) const {
  // A broker that knows nothing of a producer takes any first sequence: if the first batch failed
  // and a later one did not, the first would be out of order for ever. So it goes alone.
  const bool is_known_there = partition.acknowledged_end != kNoOffset;
  const int in_flight_max = is_known_there ? kInFlightPerPartitionMax : 1;
  if (partition.in_flight_count >= in_flight_max || partition.retry_at > now) {
    return false;
  }
  if (partition.repeating) {
    return partition.in_flight_count == 0;
  }
  return std::cmp_less(partition.in_flight_count, partition.queue.size()) ||
         (!partition.open.empty() && partition.due);
}

void BatchSender::pump() {
  if (closed_ || failure_ || frozen_ || !has_data()) {
    return;
  }
  const MonotonicTime now = cluster_->scheduler().now();
  expire(now);
  if (failure_) {
    return;
  }
  if (must_begin_anew_) {
    if (in_flight_requests_ > 0) {
      return;
    }
    begin_anew();
  }
  if (identity_.id == kNoProducerId) {
    if (!transactional_id_ && !obtaining_identity_) {
      obtaining_identity_ = true;
      cluster_->scheduler().spawn(obtain_identity(shared_from_this()));
    }
    return;
  }
  bool leaders_are_missing = false;
  bool enrolment_is_missing = false;
  std::map<NodeId, std::vector<std::size_t>> by_node;
  for (std::size_t index = 0; index < partitions_.size(); ++index) {
    Partition& partition = partitions_[index];
    if (partition.queue.empty() && partition.open.empty()) {
      continue;
    }
    if (partition.retry_at > now && !partition.queue.empty()) {
      arm_retry(partition.retry_at);
    }
    if (!has_sendable(partition, now)) {
      continue;
    }
    if (enrolment_ == Enrolment::kAsked && !partition.is_enrolled) {
      enrolment_is_missing = true;
      continue;
    }
    if (partition.leader == kNoNode) {
      partition.leader = cluster_->known_leader(partition.name);
    }
    if (partition.leader == kNoNode) {
      leaders_are_missing = true;
      continue;
    }
    by_node[partition.leader].push_back(index);
  }
  for (const auto& [node, partitions] : by_node) {
    drain_node(node, partitions);
  }
  if (leaders_are_missing && !finding_leaders_) {
    finding_leaders_ = true;
    cluster_->scheduler().spawn(find_leaders(shared_from_this()));
  }
  if (enrolment_is_missing && on_enrolment_needed_) {
    on_enrolment_needed_();
  }
}

void BatchSender::drain_node(NodeId node_id, const std::vector<std::size_t>& partitions) {
  Node& node = nodes_[node_id];
  const ConnectionPointer connection = cluster_->open_connection(channel_, node_id);
  if (!connection) {
    if (!node.connecting) {
      node.connecting = true;
      cluster_->scheduler().spawn(connect_node(shared_from_this(), node_id));
    }
    return;
  }
  while (node.in_flight_count < options_.in_flight_requests_max) {
    Gathered gathered = gather(partitions, Limit::kInFlight);
    if (gathered.sent.empty()) {
      return;
    }
    submit(node_id, connection, std::move(gathered));
  }
}

BatchSender::BatchPointer BatchSender::next_batch(Partition& partition, Limit limit) {
  if (limit == Limit::kInFlight && !has_sendable(partition, cluster_->scheduler().now())) {
    return nullptr;
  }
  // In flight is always the front of the queue.
  const auto index = static_cast<std::size_t>(partition.in_flight_count);
  if (index == partition.queue.size()) {
    if (partition.open.empty()) {
      return nullptr;
    }
    close_open_batch(partition);
  }
  return partition.queue[index];
}

BatchSender::Gathered BatchSender::gather(const std::vector<std::size_t>& partitions, Limit limit) {
  Gathered gathered;
  std::size_t bytes = 0;
  std::map<std::string_view, std::size_t> topics;
  const std::size_t start = gather_start_++;
  for (std::size_t step = 0; step < partitions.size(); ++step) {
    const std::size_t index = partitions[(start + step) % partitions.size()];
    Partition& partition = partitions_[index];
    const BatchPointer batch = next_batch(partition, limit);
    if (!batch) {
      continue;
    }
    if (!gathered.sent.empty() && bytes + batch->accounted_bytes > options_.request_bytes_max) {
      continue;
    }
    stamp(partition, *batch);
    bytes += batch->bytes.size();
    batch->in_flight = true;
    ++partition.in_flight_count;
    statistics_.retry_count += batch->attempt_count > 0 ? 1 : 0;
    ++batch->attempt_count;
    const auto [place, is_new] =
        topics.try_emplace(partition.name.topic, gathered.request.topic_data.size());
    if (is_new) {
      gathered.request.topic_data.emplace_back().name = partition.name.topic;
    }
    gathered.request.topic_data[place->second].partition_data.push_back(
        {partition.name.partition.value, ByteView(batch->bytes)});
    gathered.sent.push_back({index, batch});
  }
  return gathered;
}

void BatchSender::stamp(Partition& partition, Batch& batch) {
  if (batch.base_sequence != kNoSequence) {
    return;  // sent before: not a byte may change
  }
  batch.base_sequence = partition.next_sequence;
  partition.next_sequence = protocol::advance_sequence(partition.next_sequence, batch.record_count);
  if (batch.bytes.empty()) {
    batch.bytes = batch.builder.finish({.producer = identity_,
                                        .base_sequence = batch.base_sequence,
                                        .is_transactional = transactional_id_.has_value(),
                                        .codec = options_.compression});
    return;
  }
  auto* const attributes = batch.bytes.data() + protocol::batch_layout::kAttributes;
  auto bits = wire::load_big_endian<std::int16_t>(attributes);
  bits = static_cast<std::int16_t>(bits & ~protocol::kTransactionalBit);
  if (transactional_id_) {
    bits = static_cast<std::int16_t>(bits | protocol::kTransactionalBit);
  }
  wire::store_big_endian(attributes, bits);
  protocol::rewrite_base_offset(batch.bytes, Offset(0));
  protocol::rewrite_producer(batch.bytes, identity_, batch.base_sequence);
}

void BatchSender::submit(NodeId node_id, const ConnectionPointer& connection, Gathered gathered) {
  Node& node = nodes_[node_id];
  gathered.request.transactional_id = transactional_id_;
  gathered.request.acks = -1;
  gathered.request.timeout_ms =
      static_cast<std::int32_t>(to_ms(cluster_->options().request_timeout));
  const MonotonicTime deadline = cluster_->request_deadline(MonotonicTime::max());
  auto sent = std::make_shared<const std::vector<Sent>>(std::move(gathered.sent));
  auto pending = connection->submit(gathered.request, deadline, produce_version_max_, sent);
  ++node.in_flight_count;
  node.last_used = connection;
  ++in_flight_requests_;
  ++statistics_.request_count;
  sent_in_transaction_ = true;
  cluster_->scheduler().spawn(
      await_answer(shared_from_this(), node_id, std::move(pending), std::move(sent)));
}

Task<void> BatchSender::await_answer(std::shared_ptr<BatchSender> self, NodeId node,
                                     BrokerConnection::PendingReply pending,
                                     std::shared_ptr<const std::vector<Sent>> sent) {
  const auto reply =
      co_await BrokerConnection::receive<protocol::ProduceRequest>(std::move(pending));
  --self->nodes_[node].in_flight_count;
  --self->in_flight_requests_;
  self->accept_answer(*sent, reply);
  if (sent.use_count() == 1) {  // else the connection may still be writing them
    for (const Sent& one : *sent) {
      self->recycle(one.batch);
    }
  }
  self->changed_.notify_all();
  self->pump();
}

// ---- what sending needs

Task<void> BatchSender::connect_node(std::shared_ptr<BatchSender> self, NodeId node) {
  const MonotonicTime deadline =
      self->cluster_->scheduler().now() + 2 * self->cluster_->options().retry_backoff_max;
  const auto connection = co_await self->cluster_->connection(self->channel_, node, deadline);
  self->nodes_[node].connecting = false;
  if (!connection) {
    // The node may be gone for good, and its partitions led by others.
    for (Partition& partition : self->partitions_) {
      if (partition.leader == node) {
        partition.leader = kNoNode;
        self->cluster_->forget_topic(partition.name.topic);
      }
    }
  }
  self->pump();
}

Task<Status> BatchSender::resolve_leaders(MonotonicTime deadline) {
  const auto self = shared_from_this();
  for (std::size_t index = 0; index < partitions_.size(); ++index) {
    if (partitions_[index].leader != kNoNode ||
        (partitions_[index].queue.empty() && partitions_[index].open.empty())) {
      continue;
    }
    const TopicPartition name = partitions_[index].name;
    const auto leader = co_await cluster_->leader(name, deadline);
    CO_RETURN_IF_ERROR(leader);
    partitions_[index].leader = *leader;
  }
  co_return Status{};
}

Task<void> BatchSender::find_leaders(std::shared_ptr<BatchSender> self) {
  const MonotonicTime deadline =
      self->cluster_->scheduler().now() + 5 * self->cluster_->options().retry_backoff_max;
  const Status found = co_await self->resolve_leaders(deadline);
  self->finding_leaders_ = false;
  if (!found && found.error().recovery == Recovery::kFatal && !self->closed_ &&
      found.error().code == ErrorCode::kRefused) {
    self->fail(found.error());
  }
  self->pump();
}

Task<void> BatchSender::obtain_identity(std::shared_ptr<BatchSender> self) {
  Backoff backoff(self->cluster_->options(), self->cluster_->environment().random);
  while (!self->closed_ && !self->failure_) {
    const MonotonicTime deadline = self->cluster_->request_deadline(MonotonicTime::max());
    const auto connection = co_await self->cluster_->any_connection(self->channel_, deadline);
    if (connection) {
      protocol::InitProducerIdRequest request;
      request.transaction_timeout_ms = std::numeric_limits<std::int32_t>::max();
      const auto reply = co_await (*connection)->send(std::move(request), deadline);
      if (reply && reply->body.error_code == protocol::ErrorCode::kNone) {
        self->identity_ = {ProducerId(reply->body.producer_id),
                           ProducerEpoch(reply->body.producer_epoch)};
        break;
      }
      if (reply && !protocol::retriable(reply->body.error_code)) {
        self->fail(broker_error(reply->body.error_code, "InitProducerId"));
        break;
      }
    }
    self->expire(self->cluster_->scheduler().now());
    if (!co_await self->cluster_->pause(backoff.next(), MonotonicTime::max())) {
      break;
    }
  }
  self->obtaining_identity_ = false;
  self->pump();
}

}  // namespace onceflow::client
