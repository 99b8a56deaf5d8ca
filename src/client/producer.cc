// Producer: a BatchSender that belongs to no transaction.
#include "client/producer.h"

#include "client/batch_sender.h"

namespace onceflow::client {

Producer::Producer(std::shared_ptr<Cluster> cluster, ProducerOptions options)
    : sender_(BatchSender::create(std::move(cluster), options, std::nullopt)) {}

Producer::~Producer() { close(); }
Producer::Producer(Producer&&) noexcept = default;
Producer& Producer::operator=(Producer&& other) noexcept {
  if (this != &other) {
    close();
    sender_ = std::move(other.sender_);
  }
  return *this;
}

PartitionSlot Producer::slot(const TopicPartition& partition) { return sender_->slot(partition); }

Status Producer::append(PartitionSlot slot, const protocol::NewRecord& record,
                        RecordOrigin origin) {
  return sender_->append(slot, record, origin);
}

void Producer::limit_batches(PartitionSlot slot, std::size_t bytes_max) {
  sender_->limit_batches(slot, bytes_max);
}

const std::optional<RecordOrigin>& Producer::refused_origin() const {
  return sender_->refused_origin();
}

Status Producer::append_batch(PartitionSlot slot, Buffer batch) {
  return sender_->append_batch(slot, std::move(batch));
}

bool Producer::has_room() const { return sender_->has_room(); }

Task<Status> Producer::wait_for_room(MonotonicTime deadline) {
  return sender_->wait_for_room(deadline);
}

Task<Status> Producer::flush(MonotonicTime deadline) { return sender_->flush(deadline); }

Offset Producer::acknowledged_end(PartitionSlot slot) const {
  return sender_->acknowledged_end(slot);
}

void Producer::on_delivery(Callback<void(const Delivery&)> callback) {
  sender_->on_delivery(std::move(callback));
}

void Producer::close() {
  if (sender_) {
    sender_->close();
  }
}

ProducerStatistics Producer::statistics() const { return sender_->statistics(); }

}  // namespace onceflow::client
