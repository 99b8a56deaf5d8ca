// BatchSender: what transactions need of it.
#include "base/check.h"
#include "client/batch_sender.h"
#include "client/broker_error.h"

namespace onceflow::client {

namespace {

/// The first Produce version that adds partitions to a transaction by itself (KIP-890).
constexpr std::int16_t kImplicitEnrolmentVersion = 12;

}  // namespace

void BatchSender::set_identity(ProducerIdentity identity) {
  CHECK(!has_data());
  if (identity == identity_) {
    return;
  }
  identity_ = identity;
  for (Partition& partition : partitions_) {
    partition.next_sequence = Sequence(0);
  }
}

void BatchSender::begin_transaction(Enrolment enrolment, Callback<void()> on_needed) {
  CHECK(!has_data());
  enrolment_ = enrolment;
  on_enrolment_needed_ = std::move(on_needed);
  produce_version_max_ = enrolment == Enrolment::kAsked
                             ? static_cast<std::int16_t>(kImplicitEnrolmentVersion - 1)
                             : kAnyVersion;
  failure_.reset();
  refused_origin_.reset();
  frozen_ = false;
  sent_in_transaction_ = false;
  for (Partition& partition : partitions_) {
    partition.is_enrolled = false;
    partition.retry_at = {};
  }
}

std::vector<PartitionSlot> BatchSender::partitions_to_enrol() const {
  std::vector<PartitionSlot> slots;
  for (std::size_t index = 0; index < partitions_.size(); ++index) {
    const Partition& partition = partitions_[index];
    if (!partition.is_enrolled && !(partition.queue.empty() && partition.open.empty())) {
      slots.emplace_back(static_cast<std::uint32_t>(index));
    }
  }
  return slots;
}

void BatchSender::enrolled(const std::vector<PartitionSlot>& slots) {
  for (const PartitionSlot slot : slots) {
    partitions_[slot.value].is_enrolled = true;
  }
  pump();
}

void BatchSender::drop_all() {
  for (Partition& partition : partitions_) {
    partition.open.clear();
    partition.due = false;
    partition.queue.clear();
    partition.in_flight_count = 0;
    partition.repeating = false;
    partition.retry_at = {};
  }
  buffered_bytes_ = 0;
  frozen_ = true;
  changed_.notify_all();
}

void BatchSender::drop_unsent() {
  for (Partition& partition : partitions_) {
    if (!partition.open.empty()) {
      buffered_bytes_ -= partition.open.size_bytes();
      partition.open.clear();
      partition.due = false;
    }
    std::erase_if(partition.queue, [this](const BatchPointer& batch) {
      if (batch->base_sequence != kNoSequence) {
        return false;
      }
      buffered_bytes_ -= batch->accounted_bytes;
      return true;
    });
  }
  frozen_ = true;
  changed_.notify_all();
}

Task<Status> BatchSender::wait_until_idle(MonotonicTime deadline) {
  const auto self = shared_from_this();
  while (in_flight_requests_ > 0) {
    if (!co_await changed_.wait_until(deadline) && in_flight_requests_ > 0) {
      co_return std::unexpected(timed_out_error("answers to Produce"));
    }
  }
  co_return Status{};
}

bool BatchSender::can_pipeline(NodeId node_id, const ConnectionPointer& connection) const {
  int in_flight_here = 0;
  if (const auto node = nodes_.find(node_id); node != nodes_.end()) {
    in_flight_here = node->second.in_flight_count;
    if (in_flight_here > 0 && node->second.last_used.lock() != connection) {
      return false;
    }
  }
  if (failure_ || frozen_ || in_flight_requests_ != in_flight_here || !connection->is_open()) {
    return false;
  }
  return std::ranges::all_of(partitions_, [&](const Partition& partition) {
    const bool has_data = !partition.queue.empty() || !partition.open.empty();
    return !has_data || (partition.leader == node_id && !partition.repeating);
  });
}

void BatchSender::submit_all(NodeId node, const ConnectionPointer& connection) {
  std::vector<std::size_t> partitions;
  for (std::size_t index = 0; index < partitions_.size(); ++index) {
    if (!partitions_[index].queue.empty() || !partitions_[index].open.empty()) {
      partitions.push_back(index);
    }
  }
  frozen_ = true;
  if (partitions.empty()) {
    return;
  }
  for (Gathered gathered = gather(partitions, Limit::kNone); !gathered.sent.empty();
       gathered = gather(partitions, Limit::kNone)) {
    submit(node, connection, std::move(gathered));
  }
}

}  // namespace onceflow::client
