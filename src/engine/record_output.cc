#include "engine/record_output.h"

#include <fmt/format.h>

#include <algorithm>

#include "client/open_transactions.h"

namespace onceflow::engine {
namespace {

class TransactionalOutput final : public RecordOutput {
 public:
  TransactionalOutput(std::shared_ptr<client::Cluster> cluster, const std::string& stage_id,
                      const StageOptions& options, client::ConsumerGroup& group)
      : cluster_(cluster),
        stage_id_(stage_id),
        options_(options),
        group_(group),
        producer_(std::move(cluster), options.producer,
                  {.transactional_id = transactional_id_of(options, stage_id, options.worker),
                   .transaction_timeout = options.transaction_timeout()}) {}

  Task<Status> take_over(MonotonicTime deadline) override {
    if (!has_ended_former_) {
      CO_RETURN_IF_ERROR(co_await end_former_transaction(cluster_, options_, stage_id_,
                                                         options_.worker, deadline));
      has_ended_former_ = true;
    }
    Status taken = co_await producer_.init_transactions(deadline);
    if (!taken && taken.error().code == ErrorCode::kRefused &&
        taken.error().text.contains("INVALID_TRANSACTION_TIMEOUT")) {
      taken.error().text = fmt::format(
          "commit.interval.ms is {} ms and needs transactions of up to {} ms, more than the "
          "cluster's transaction.max.timeout.ms; a commit must end within its transaction: make "
          "commit.interval.ms shorter in the pipeline file, or transaction.max.timeout.ms {} or "
          "more on the brokers",
          to_ms(options_.commit_interval), to_ms(options_.transaction_timeout()),
          to_ms(options_.transaction_timeout()));
    }
    co_return taken;
  }
  Status begin() override {
    return producer_.state() == client::TransactionalProducer::State::kInTransaction
               ? Status{}
               : producer_.begin();
  }
  client::PartitionSlot slot(const TopicPartition& partition) override {
    return producer_.slot(partition);
  }
  Status append(client::PartitionSlot slot, const protocol::NewRecord& record,
                client::RecordOrigin origin) override {
    return producer_.append(slot, record, origin);
  }
  void limit_batches(client::PartitionSlot slot, std::size_t bytes_max) override {
    producer_.limit_batches(slot, bytes_max);
  }
  const std::optional<client::RecordOrigin>& refused_origin() const override {
    return producer_.refused_origin();
  }
  bool has_room() const override { return producer_.has_room(); }
  Task<Status> wait_for_room(MonotonicTime deadline) override {
    co_return co_await producer_.wait_for_room(deadline);
  }
  Task<Status> commit(client::GroupMetadata group, std::vector<client::OffsetToCommit> positions,
                      MonotonicTime deadline) override {
    if (options_.seeded_bug == SeededBug::kCommitOffsetsOutsideTransaction) {
      CO_RETURN_IF_ERROR(co_await group_.commit(std::move(group), std::move(positions), deadline));
    } else {
      CO_RETURN_IF_ERROR(producer_.send_offsets(std::move(group), std::move(positions)));
    }
    co_return co_await producer_.commit(deadline);
  }
  Task<void> abandon(MonotonicTime deadline) override {
    using State = client::TransactionalProducer::State;
    const State state = producer_.state();
    if (state == State::kInTransaction || state == State::kMustAbort) {
      // Only so that readers need not wait for the take-over; it ends the transaction in any case.
      co_await producer_.abort(deadline);
    }
  }
  Offset acknowledged_end(client::PartitionSlot slot) const override {
    return producer_.acknowledged_end(slot);
  }

 private:
  std::shared_ptr<client::Cluster> cluster_;
  const std::string stage_id_;
  const StageOptions& options_;
  client::ConsumerGroup& group_;
  client::TransactionalProducer producer_;
  bool has_ended_former_ = false;
};

class AtLeastOnceOutput final : public RecordOutput {
 public:
  AtLeastOnceOutput(std::shared_ptr<client::Cluster> cluster, const StageOptions& options,
                    client::ConsumerGroup& group)
      : cluster_(std::move(cluster)),
        options_(options),
        group_(group),
        producer_(std::make_unique<client::Producer>(cluster_, options.producer)) {}

  Task<Status> take_over(MonotonicTime) override {
    // What the last one had not sent belongs to records that will be read again.
    producer_ = std::make_unique<client::Producer>(cluster_, options_.producer);
    co_return Status{};
  }
  Status begin() override { return {}; }
  client::PartitionSlot slot(const TopicPartition& partition) override {
    return producer_->slot(partition);
  }
  Status append(client::PartitionSlot slot, const protocol::NewRecord& record,
                client::RecordOrigin origin) override {
    return producer_->append(slot, record, origin);
  }
  void limit_batches(client::PartitionSlot slot, std::size_t bytes_max) override {
    producer_->limit_batches(slot, bytes_max);
  }
  const std::optional<client::RecordOrigin>& refused_origin() const override {
    return producer_->refused_origin();
  }
  bool has_room() const override { return producer_->has_room(); }
  Task<Status> wait_for_room(MonotonicTime deadline) override {
    co_return co_await producer_->wait_for_room(deadline);
  }
  Task<Status> commit(client::GroupMetadata group, std::vector<client::OffsetToCommit> positions,
                      MonotonicTime deadline) override {
    CO_RETURN_IF_ERROR(co_await producer_->flush(deadline));
    co_return co_await group_.commit(std::move(group), std::move(positions), deadline);
  }
  Task<void> abandon(MonotonicTime) override { co_return; }
  Offset acknowledged_end(client::PartitionSlot slot) const override {
    return producer_->acknowledged_end(slot);
  }

 private:
  std::shared_ptr<client::Cluster> cluster_;
  const StageOptions& options_;
  client::ConsumerGroup& group_;
  std::unique_ptr<client::Producer> producer_;
};

std::string joined(const StageOptions& options, const std::string& stage_id,
                   const std::string& worker) {
  return options.pipeline + "-" + stage_id + "-" + worker;
}

}  // namespace

// Where none has a '-' there are two of them, and no other names make the same; with the end, the
// lengths tell the parts.
std::string transactional_id_of(const StageOptions& options, const std::string& stage_id,
                                const std::string& worker) {
  std::string id = joined(options, stage_id, worker);
  return std::ranges::count(id, '-') == 2
             ? id
             : fmt::format("{}~{}.{}", id, options.pipeline.size(), stage_id.size());
}

Task<Status> end_former_transaction(std::shared_ptr<client::Cluster> cluster,
                                    const StageOptions& options, std::string stage_id,
                                    std::string worker, MonotonicTime deadline) {
  const std::string former = joined(options, stage_id, worker);
  if (former == transactional_id_of(options, stage_id, worker)) {
    co_return Status{};
  }
  const client::Channel channel = cluster->new_channel();
  const auto is_open = co_await client::has_open_transaction(cluster, channel, former, deadline);
  cluster->close_channel(channel, {ErrorCode::kCancelled, "answered"});
  if (!is_open && !is_final(is_open.error())) {
    co_return std::unexpected(is_open.error());
  }
  if (is_open && !*is_open) {
    co_return Status{};
  }
  client::TransactionalProducer producer(
      cluster, options.producer,
      {.transactional_id = former, .transaction_timeout = options.transaction_timeout()});
  co_return co_await producer.init_transactions(deadline);
}

std::unique_ptr<RecordOutput> make_record_output(std::shared_ptr<client::Cluster> cluster,
                                                 const std::string& stage_id,
                                                 const StageOptions& options,
                                                 client::ConsumerGroup& group) {
  if (options.guarantee == Guarantee::kExactlyOnce) {
    return std::make_unique<TransactionalOutput>(std::move(cluster), stage_id, options, group);
  }
  return std::make_unique<AtLeastOnceOutput>(std::move(cluster), options, group);
}

}  // namespace onceflow::engine
