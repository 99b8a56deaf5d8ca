// TransactionalProducer: one straight function per call; whatever is in doubt ends in
// init_transactions.
#include "client/transactional_producer.h"

#include <fmt/format.h>

#include "base/check.h"
#include "client/batch_sender.h"
#include "client/broker_error.h"
#include "protocol/messages/22_init_producer_id.h"
#include "protocol/messages/24_add_partitions_to_txn.h"
#include "protocol/messages/25_add_offsets_to_txn.h"
#include "protocol/messages/26_end_txn.h"
#include "protocol/messages/28_txn_offset_commit.h"

namespace onceflow::client {

namespace {

/// The highest versions that still mean transactions version 1 (KIP-890).
constexpr std::int16_t kEndTxnVersion1Max = 4;
constexpr std::int16_t kTxnOffsetCommitVersion1Max = 4;
/// From 4 on AddPartitionsToTxn is between brokers.
constexpr std::int16_t kAddPartitionsVersionMax = 3;

std::int32_t to_ms32(Duration duration) { return static_cast<std::int32_t>(to_ms(duration)); }

/// The transaction cannot commit; whatever else the error says. What is final stays so.
Error aborting(Error error) {
  const bool is_final =
      error.recovery == Recovery::kFatal &&
      (error.code == ErrorCode::kFenced || error.code == ErrorCode::kRefused ||
       error.code == ErrorCode::kUnsupported || error.code == ErrorCode::kCancelled);
  if (!is_final) {
    error.recovery = Recovery::kAbort;
  }
  return error;
}

Error unknown_outcome(std::string_view what, const Error& why) {
  return {ErrorCode::kUnknownOutcome, fmt::format("{}: no answer ({})", what, why.text),
          Recovery::kFatal};
}

}  // namespace

class TransactionalProducer::Core : public ClusterUser, public std::enable_shared_from_this<Core> {
 public:
  Core(std::shared_ptr<Cluster> cluster, ProducerOptions options,
       TransactionOptions transaction_options)
      : cluster_(std::move(cluster)),
        options_(std::move(transaction_options)),
        sender_(BatchSender::create(cluster_, options, options_.transactional_id)) {}

  Task<Status> init_transactions(MonotonicTime deadline);
  Status begin();
  Status send_offsets(GroupMetadata group, std::vector<OffsetToCommit> offsets);
  Task<Status> commit(MonotonicTime deadline);
  Task<Status> abort(MonotonicTime deadline);
  void close() override {
    if (!closed_) {
      closed_ = true;
      sender_->close();
    }
  }

  BatchSender& sender() { return *sender_; }
  State state() const { return state_; }
  ProducerIdentity identity() const { return sender_->identity(); }
  int version() const { return version_; }
  bool is_pipelined() const { return is_pipelined_; }

 private:
  struct Offsets {
    GroupMetadata group;
    std::vector<OffsetToCommit> offsets;
  };

  Status must_abort(Error error) {
    state_ = State::kMustAbort;
    return std::unexpected(std::move(error));
  }
  /// After a failure of commit or abort: only init_transactions() leads out if we are fenced or in
  /// doubt.
  Status ended_badly(Error error) {
    const bool can_abort = error.recovery == Recovery::kAbort || error.code == ErrorCode::kRefused;
    state_ = can_abort ? State::kMustAbort : State::kUninitialised;
    if (!can_abort) {
      sender_->drop_all();
    }
    return std::unexpected(std::move(error));
  }
  void ended_well();

  Task<Result<ConnectionPointer>> coordinator_connection(MonotonicTime deadline);
  void choose_protocol(const BrokerConnection& connection);
  Task<Status> commit_pipelined(NodeId node, ConnectionPointer connection, MonotonicTime deadline);
  Task<Status> commit_stepwise(MonotonicTime deadline);
  Task<Result<NodeId>> node_of_all(MonotonicTime deadline);
  Task<Status> send_offsets_to_cluster(const Offsets& offsets, MonotonicTime deadline);
  Task<Status> add_offsets_to_transaction(const std::string& group_id, MonotonicTime deadline);
  Task<Status> end_transaction(bool committed, MonotonicTime deadline);
  Status accept_end(const protocol::EndTxnResponse& response, std::int16_t version, bool committed);
  protocol::EndTxnRequest end_request(bool committed) const;
  protocol::TxnOffsetCommitRequest offsets_request(const Offsets& offsets) const;
  Task<Status> send_stray_end(MonotonicTime deadline);
  static Task<void> enrol(std::shared_ptr<Core> self);
  protocol::AddPartitionsToTxnRequest enrolment_request(
      const std::vector<PartitionSlot>& slots) const;
  std::optional<Error> enrolment_error(
      const Result<Reply<protocol::AddPartitionsToTxnResponse>>& reply);

  std::int16_t end_version_max() const { return version_ == 2 ? kAnyVersion : kEndTxnVersion1Max; }
  std::int16_t offsets_version_max() const {
    return version_ == 2 ? kAnyVersion : kTxnOffsetCommitVersion1Max;
  }

  std::shared_ptr<Cluster> cluster_;
  TransactionOptions options_;
  std::shared_ptr<BatchSender> sender_;
  State state_ = State::kUninitialised;
  bool closed_ = false;
  int version_ = 1;
  bool is_pipelined_ = false;
  bool enrolling_ = false;
  std::uint64_t transaction_number_ = 0;  ///< ties what runs in the background to its transaction
  std::vector<Offsets> offsets_;
  bool offsets_sent_ = false;
  bool stray_end_is_due_ = false;  ///< only with SeededBug::kRetryEndTxnIntoNextTransaction
};

// ---- initialisation

Task<Result<ConnectionPointer>> TransactionalProducer::Core::coordinator_connection(
    MonotonicTime deadline) {
  const auto node = co_await cluster_->coordinator(CoordinatorType::kTransaction,
                                                   options_.transactional_id, deadline);
  if (!node) {
    co_return std::unexpected(node.error());
  }
  co_return co_await cluster_->connection(sender_->channel(), *node, deadline);
}

void TransactionalProducer::Core::choose_protocol(const BrokerConnection& connection) {
  const bool speaks_version_2 =
      connection.choose_version<protocol::EndTxnRequest>().value_or(0) > kEndTxnVersion1Max;
  version_ =
      cluster_->transaction_version() >= 2 && speaks_version_2 && !options_.force_version_1 ? 2 : 1;
  is_pipelined_ = version_ == 2 && connection.features().supports(kPipelinedTransactionsFeature);
}

Task<Status> TransactionalProducer::Core::init_transactions(MonotonicTime deadline) {
  const auto self = shared_from_this();
  state_ = State::kUninitialised;
  ++transaction_number_;
  offsets_.clear();
  offsets_sent_ = false;
  sender_->drop_all();
  // What is still in flight must not be answered into the next transaction.
  cluster_->close_channel(sender_->channel(),
                          Error{ErrorCode::kConnectionLost, "the producer starts anew"});
  Backoff backoff(cluster_->options(), cluster_->environment().random);
  std::optional<Error> last;
  while (!closed_ && !cluster_->is_closed()) {
    const auto connection = co_await coordinator_connection(deadline);
    CO_RETURN_IF_ERROR(connection);
    protocol::InitProducerIdRequest request;
    request.transactional_id = options_.transactional_id;
    request.transaction_timeout_ms = to_ms32(options_.transaction_timeout);
    // Without the identity of before: the epoch is raised whatever became of the last request, and
    // that is what fences it.
    const auto reply =
        co_await (*connection)->send(std::move(request), cluster_->request_deadline(deadline));
    if (reply && reply->body.error_code == protocol::ErrorCode::kNone) {
      choose_protocol(**connection);
      sender_->set_identity(
          {ProducerId(reply->body.producer_id), ProducerEpoch(reply->body.producer_epoch)});
      state_ = State::kReady;
      co_return Status{};
    }
    if (reply) {
      last = broker_error(reply->body.error_code, "InitProducerId");
      if (last->recovery != Recovery::kRetriable) {
        co_return std::unexpected(*last);
      }
      if (is_wrong_coordinator(reply->body.error_code)) {
        cluster_->forget_coordinator(CoordinatorType::kTransaction, options_.transactional_id);
      }
    } else {
      last = reply.error();
      if (last->recovery != Recovery::kRetriable) {
        co_return std::unexpected(*last);
      }
    }
    if (const Status paused = co_await cluster_->pause(backoff.next(), deadline); !paused) {
      co_return paused.error().code == ErrorCode::kCancelled ? paused : std::unexpected(*last);
    }
  }
  co_return std::unexpected(cancelled_error());
}

Status TransactionalProducer::Core::begin() {
  if (state_ != State::kReady) {
    return fail(ErrorCode::kInvalidArgument, state_ == State::kUninitialised
                                                 ? "begin: init_transactions() comes first"
                                                 : "begin: a transaction is open");
  }
  ++transaction_number_;
  offsets_.clear();
  offsets_sent_ = false;
  if (version_ == 2) {
    sender_->begin_transaction(BatchSender::Enrolment::kImplicit, nullptr);
  } else {
    sender_->begin_transaction(BatchSender::Enrolment::kAsked, [weak = weak_from_this()] {
      const auto self = weak.lock();
      if (self && !self->enrolling_) {
        self->enrolling_ = true;
        self->cluster_->scheduler().spawn(enrol(self));
      }
    });
  }
  state_ = State::kInTransaction;
  return {};
}

protocol::AddPartitionsToTxnRequest TransactionalProducer::Core::enrolment_request(
    const std::vector<PartitionSlot>& slots) const {
  protocol::AddPartitionsToTxnRequest request;
  request.v3_and_below_transactional_id = options_.transactional_id;
  request.v3_and_below_producer_id = identity().id.value;
  request.v3_and_below_producer_epoch = identity().epoch.value;
  auto& topics = request.v3_and_below_topics;
  for (const PartitionSlot slot : slots) {
    const TopicPartition& partition = sender_->partition(slot);
    auto topic =
        std::ranges::find(topics, partition.topic, [](const auto& known) { return known.name; });
    if (topic == topics.end()) {
      topics.emplace_back().name = partition.topic;
      topic = topics.end() - 1;
    }
    topic->partitions.push_back(partition.partition.value);
  }
  return request;
}

std::optional<Error> TransactionalProducer::Core::enrolment_error(
    const Result<Reply<protocol::AddPartitionsToTxnResponse>>& reply) {
  if (!reply) {
    return reply.error();
  }
  for (const auto& topic : reply->body.results_by_topic_v3_and_below) {
    for (const auto& result : topic.results_by_partition) {
      const protocol::ErrorCode code = result.partition_error_code;
      // "Not attempted" only says that another one failed.
      if (code == protocol::ErrorCode::kNone ||
          code == protocol::ErrorCode::kOperationNotAttempted) {
        continue;
      }
      if (is_wrong_coordinator(code)) {
        cluster_->forget_coordinator(CoordinatorType::kTransaction, options_.transactional_id);
      }
      return broker_error(
          code, fmt::format("AddPartitionsToTxn of {}-{}", topic.name, result.partition_index));
    }
  }
  return std::nullopt;
}

// Asks until every partition with data is enrolled, more having come meanwhile or not.
Task<void> TransactionalProducer::Core::enrol(std::shared_ptr<Core> self) {
  const std::uint64_t transaction = self->transaction_number_;
  const auto is_over = [&] {
    return self->closed_ || self->transaction_number_ != transaction || self->sender_->failure();
  };
  Cluster& cluster = *self->cluster_;
  Backoff backoff(cluster.options(), cluster.environment().random);
  const MonotonicTime deadline = cluster.scheduler().now() + self->options_.transaction_timeout;
  std::vector<PartitionSlot> slots = self->sender_->partitions_to_enrol();
  while (!is_over() && !slots.empty()) {
    const auto connection = co_await self->coordinator_connection(deadline);
    if (is_over()) {
      break;
    }
    std::optional<Error> failed = connection ? std::nullopt : std::optional(connection.error());
    if (connection) {
      self->sender_->mark_sent();
      const auto reply = co_await (*connection)
                             ->send(self->enrolment_request(slots),
                                    cluster.request_deadline(deadline), kAddPartitionsVersionMax);
      if (is_over()) {
        break;
      }
      failed = self->enrolment_error(reply);
    }
    if (!failed) {
      backoff.reset();
      self->sender_->enrolled(slots);
    } else if (failed->recovery != Recovery::kRetriable ||
               !co_await cluster.pause(backoff.next(), deadline)) {
      if (!is_over()) {
        self->sender_->fail(aborting(*failed));
      }
      break;
    }
    slots = self->sender_->partitions_to_enrol();
  }
  self->enrolling_ = false;
  if (!self->closed_ && self->transaction_number_ != transaction) {
    self->sender_->pump();  // the next transaction may have asked meanwhile
  }
}

// ---- offsets

Status TransactionalProducer::Core::send_offsets(GroupMetadata group,
                                                 std::vector<OffsetToCommit> offsets) {
  if (state_ != State::kInTransaction) {
    return fail(ErrorCode::kInvalidArgument, "send_offsets: no transaction is open",
                state_ == State::kMustAbort ? Recovery::kAbort : Recovery::kFatal);
  }
  if (!offsets.empty()) {
    offsets_.push_back({std::move(group), std::move(offsets)});
  }
  return {};
}

protocol::TxnOffsetCommitRequest TransactionalProducer::Core::offsets_request(
    const Offsets& offsets) const {
  protocol::TxnOffsetCommitRequest request;
  request.transactional_id = options_.transactional_id;
  request.group_id = offsets.group.group_id;
  request.producer_id = identity().id.value;
  request.producer_epoch = identity().epoch.value;
  request.generation_id = offsets.group.generation.value;
  request.member_id = offsets.group.member_id;
  request.group_instance_id = offsets.group.group_instance_id;
  for (const OffsetToCommit& offset : offsets.offsets) {
    auto topic = std::ranges::find(request.topics, offset.partition.topic,
                                   [](const auto& known) { return known.name; });
    if (topic == request.topics.end()) {
      request.topics.emplace_back().name = offset.partition.topic;
      topic = request.topics.end() - 1;
    }
    auto& partition = topic->partitions.emplace_back();
    partition.partition_index = offset.partition.partition.value;
    partition.committed_offset = offset.offset.value;
    partition.committed_metadata = offset.metadata;
  }
  return request;
}

namespace {

/// The first error in the answer, if any.
protocol::ErrorCode first_error(const protocol::TxnOffsetCommitResponse& response) {
  for (const auto& topic : response.topics) {
    for (const auto& partition : topic.partitions) {
      if (partition.error_code != protocol::ErrorCode::kNone) {
        return partition.error_code;
      }
    }
  }
  return protocol::ErrorCode::kNone;
}

}  // namespace

Task<Status> TransactionalProducer::Core::add_offsets_to_transaction(const std::string& group_id,
                                                                     MonotonicTime deadline) {
  Backoff backoff(cluster_->options(), cluster_->environment().random);
  while (true) {
    const auto connection = co_await coordinator_connection(deadline);
    CO_RETURN_IF_ERROR(connection);
    protocol::AddOffsetsToTxnRequest request;
    request.transactional_id = options_.transactional_id;
    request.producer_id = identity().id.value;
    request.producer_epoch = identity().epoch.value;
    request.group_id = group_id;
    offsets_sent_ = true;
    const auto reply =
        co_await (*connection)->send(std::move(request), cluster_->request_deadline(deadline));
    if (reply && reply->body.error_code == protocol::ErrorCode::kNone) {
      co_return Status{};
    }
    Error error = reply ? broker_error(reply->body.error_code, "AddOffsetsToTxn") : reply.error();
    if (reply && is_wrong_coordinator(reply->body.error_code)) {
      cluster_->forget_coordinator(CoordinatorType::kTransaction, options_.transactional_id);
    }
    if (error.recovery != Recovery::kRetriable) {
      co_return std::unexpected(std::move(error));
    }
    CO_RETURN_IF_ERROR(co_await cluster_->pause(backoff.next(), deadline));
  }
}

// Repeated until answered: within one transaction the same offsets may be sent any number of times.
Task<Status> TransactionalProducer::Core::send_offsets_to_cluster(const Offsets& offsets,
                                                                  MonotonicTime deadline) {
  const std::string& group_id = offsets.group.group_id;
  if (version_ == 1) {
    CO_RETURN_IF_ERROR(co_await add_offsets_to_transaction(group_id, deadline));
  }
  Backoff backoff(cluster_->options(), cluster_->environment().random);
  while (true) {
    const auto node = co_await cluster_->coordinator(CoordinatorType::kGroup, group_id, deadline);
    CO_RETURN_IF_ERROR(node);
    const auto connection = co_await cluster_->connection(sender_->channel(), *node, deadline);
    CO_RETURN_IF_ERROR(connection);
    offsets_sent_ = true;
    const auto reply = co_await (*connection)
                           ->send(offsets_request(offsets), cluster_->request_deadline(deadline),
                                  offsets_version_max());
    if (!reply) {
      if (reply.error().recovery != Recovery::kRetriable) {
        co_return std::unexpected(reply.error());
      }
    } else {
      const protocol::ErrorCode code = first_error(reply->body);
      if (code == protocol::ErrorCode::kNone) {
        co_return Status{};
      }
      Error error = broker_error(code, "TxnOffsetCommit to '" + group_id + "'");
      if (is_wrong_coordinator(code)) {
        cluster_->forget_coordinator(CoordinatorType::kGroup, group_id);
      }
      if (error.recovery != Recovery::kRetriable) {
        co_return std::unexpected(std::move(error));
      }
    }
    CO_RETURN_IF_ERROR(co_await cluster_->pause(backoff.next(), deadline));
  }
}

// ---- the end

protocol::EndTxnRequest TransactionalProducer::Core::end_request(bool committed) const {
  protocol::EndTxnRequest request;
  request.transactional_id = options_.transactional_id;
  request.producer_id = identity().id.value;
  request.producer_epoch = identity().epoch.value;
  request.committed = committed;
  return request;
}

void TransactionalProducer::Core::ended_well() {
  sender_->drop_all();
  state_ = State::kReady;
  offsets_.clear();
  ++transaction_number_;
}

Status TransactionalProducer::Core::accept_end(const protocol::EndTxnResponse& response,
                                               std::int16_t version, bool committed) {
  const std::string_view what = committed ? "EndTxn (commit)" : "EndTxn (abort)";
  if (response.error_code != protocol::ErrorCode::kNone) {
    return std::unexpected(aborting(broker_error(response.error_code, what)));
  }
  sender_->drop_all();
  if (version > kEndTxnVersion1Max) {
    sender_->set_identity(
        {ProducerId(response.producer_id), ProducerEpoch(response.producer_epoch)});
  }
  return {};
}

Task<Status> TransactionalProducer::Core::end_transaction(bool committed, MonotonicTime deadline) {
  const std::string_view what = committed ? "EndTxn (commit)" : "EndTxn (abort)";
  Backoff backoff(cluster_->options(), cluster_->environment().random);
  while (true) {
    const auto connection = co_await coordinator_connection(deadline);
    if (!connection) {
      co_return std::unexpected(aborting(connection.error()));
    }
    const auto reply =
        co_await (*connection)
            ->send(end_request(committed), cluster_->request_deadline(deadline), end_version_max());
    if (!reply) {
      stray_end_is_due_ = committed;
      co_return std::unexpected(unknown_outcome(what, reply.error()));
    }
    using enum protocol::ErrorCode;
    switch (const protocol::ErrorCode code = reply->body.error_code) {
      // Said before anything is done; so it may be said again.
      case kConcurrentTransactions:
      case kCoordinatorLoadInProgress:
        if (!co_await cluster_->pause(backoff.next(), deadline)) {
          co_return std::unexpected(aborting(timed_out_error(what)));
        }
        continue;
      // A coordinator that lost its place in the middle says this, too, of a decision it has
      // written.
      case kNotCoordinator:
      case kCoordinatorNotAvailable:
      case kRequestTimedOut:
      case kUnknownServerError:
        cluster_->forget_coordinator(CoordinatorType::kTransaction, options_.transactional_id);
        co_return std::unexpected(unknown_outcome(what, broker_error(code, what)));
      default:
        co_return accept_end(reply->body, reply->version, committed);
    }
  }
}

// The node that leads every partition with data and coordinates all that takes part; kNoNode if
// they are several.
Task<Result<NodeId>> TransactionalProducer::Core::node_of_all(MonotonicTime deadline) {
  const auto node = co_await cluster_->coordinator(CoordinatorType::kTransaction,
                                                   options_.transactional_id, deadline);
  CO_RETURN_IF_ERROR(node);
  for (const Offsets& offsets : offsets_) {
    const auto group_node =
        co_await cluster_->coordinator(CoordinatorType::kGroup, offsets.group.group_id, deadline);
    CO_RETURN_IF_ERROR(group_node);
    if (*group_node != *node) {
      co_return kNoNode;
    }
  }
  CO_RETURN_IF_ERROR(co_await sender_->resolve_leaders(deadline));
  co_return *node;
}

Task<Status> TransactionalProducer::Core::commit(MonotonicTime deadline) {
  const auto self = shared_from_this();
  if (state_ != State::kInTransaction) {
    co_return fail(ErrorCode::kInvalidArgument, "commit: no transaction is open",
                   state_ == State::kMustAbort ? Recovery::kAbort : Recovery::kFatal);
  }
  if (sender_->failure()) {
    co_return ended_badly(aborting(*sender_->failure()));
  }
  if (!sender_->has_data() && !sender_->has_sent_in_transaction() && offsets_.empty()) {
    ended_well();
    co_return Status{};
  }
  if (is_pipelined_) {
    const auto node = co_await node_of_all(deadline);
    if (!node) {
      co_return ended_badly(aborting(node.error()));
    }
    if (*node != kNoNode) {
      const auto connection = co_await cluster_->connection(sender_->channel(), *node, deadline);
      if (!connection) {
        co_return ended_badly(aborting(connection.error()));
      }
      // No wait between this question and the requests: so its answer still holds.
      if (sender_->can_pipeline(*node, *connection)) {
        co_return co_await commit_pipelined(*node, *connection, deadline);
      }
    }
  }
  co_return co_await commit_stepwise(deadline);
}

Task<Status> TransactionalProducer::Core::commit_pipelined(NodeId node,
                                                           ConnectionPointer connection,
                                                           MonotonicTime deadline) {
  using protocol::EndTxnRequest;
  using protocol::TxnOffsetCommitRequest;
  const MonotonicTime until = cluster_->request_deadline(deadline);
  sender_->submit_all(node, connection);
  if (stray_end_is_due_) {
    CO_RETURN_IF_ERROR(co_await send_stray_end(deadline));
  }
  std::vector<BrokerConnection::PendingReply> offset_replies;
  offset_replies.reserve(offsets_.size());
  for (const Offsets& offsets : offsets_) {
    offset_replies.push_back(connection->submit(offsets_request(offsets), until));
  }
  offsets_sent_ = offsets_sent_ || !offsets_.empty();
  const auto end_reply = connection->submit(end_request(true), until);

  std::optional<Error> failed;
  for (std::size_t index = 0; index < offset_replies.size(); ++index) {
    const auto reply = co_await BrokerConnection::receive<TxnOffsetCommitRequest>(
        std::move(offset_replies[index]));
    const auto code = reply ? first_error(reply->body) : protocol::ErrorCode::kNone;
    if (!failed && code != protocol::ErrorCode::kNone) {
      failed = broker_error(code, "TxnOffsetCommit to '" + offsets_[index].group.group_id + "'");
    }
  }
  const auto reply = co_await BrokerConnection::receive<EndTxnRequest>(end_reply);
  // Answers come in order: those of the batches are there, only not all of them looked at.
  co_await sender_->wait_until_idle(deadline);
  if (sender_->failure()) {
    failed = sender_->failure();
  }
  if (!reply) {
    stray_end_is_due_ = true;
    co_return ended_badly(unknown_outcome("EndTxn (commit)", reply.error()));
  }
  if (reply->body.error_code == protocol::ErrorCode::kNone && failed) {
    co_return ended_badly(Error{ErrorCode::kRefused,
                                "the broker committed a transaction in which a request had failed, "
                                "against its feature onceflow.pipelined.transactions: " +
                                    failed->text,
                                Recovery::kFatal});
  }
  Status ended = accept_end(reply->body, reply->version, true);
  if (!ended) {
    co_return ended_badly(failed ? aborting(*failed) : ended.error());
  }
  ended_well();
  co_return Status{};
}

Task<Status> TransactionalProducer::Core::commit_stepwise(MonotonicTime deadline) {
  if (const Status flushed = co_await sender_->flush(deadline); !flushed) {
    co_return ended_badly(aborting(flushed.error()));
  }
  if (stray_end_is_due_) {
    CO_RETURN_IF_ERROR(co_await send_stray_end(deadline));
  }
  for (const Offsets& offsets : offsets_) {
    if (const Status sent = co_await send_offsets_to_cluster(offsets, deadline); !sent) {
      co_return ended_badly(aborting(sent.error()));
    }
  }
  if (const Status ended = co_await end_transaction(true, deadline); !ended) {
    co_return ended_badly(ended.error());
  }
  ended_well();
  co_return Status{};
}

// The seeded bug: the EndTxn whose answer was lost is sent once more, into whatever transaction is
// open by now, as a client does that repeats it blindly (KAFKA-17754).
Task<Status> TransactionalProducer::Core::send_stray_end(MonotonicTime deadline) {
  stray_end_is_due_ = false;
  if (cluster_->environment().seeded_bug != SeededBug::kRetryEndTxnIntoNextTransaction) {
    co_return Status{};
  }
  const auto connection = co_await coordinator_connection(deadline);
  CO_RETURN_IF_ERROR(connection);
  static_cast<void>(
      co_await (*connection)
          ->send(end_request(true), cluster_->request_deadline(deadline), end_version_max()));
  co_return Status{};
}

Task<Status> TransactionalProducer::Core::abort(MonotonicTime deadline) {
  const auto self = shared_from_this();
  if (state_ != State::kInTransaction && state_ != State::kMustAbort) {
    co_return fail(ErrorCode::kInvalidArgument, "abort: no transaction is open");
  }
  sender_->drop_unsent();
  if (!sender_->has_sent_in_transaction() && !offsets_sent_) {
    ended_well();
    co_return Status{};
  }
  const Status idle = co_await sender_->wait_until_idle(deadline);
  // In version 1 the epoch stays, and only a new one keeps a batch that is still on its way out of
  // the next transaction; in version 2 EndTxn brings it.
  const bool is_in_doubt = !idle || sender_->has_data() || sender_->failure();
  if (version_ == 1 && is_in_doubt) {
    co_return co_await init_transactions(deadline);
  }
  Status ended = co_await end_transaction(false, deadline);
  if (ended) {
    ended_well();
    co_return Status{};
  }
  if (ended.error().code == ErrorCode::kCancelled ||
      (ended.error().code == ErrorCode::kFenced && ended.error().recovery == Recovery::kFatal)) {
    co_return ended_badly(ended.error());
  }
  co_return co_await init_transactions(deadline);
}

// ---- the face

TransactionalProducer::TransactionalProducer(std::shared_ptr<Cluster> cluster,
                                             ProducerOptions options,
                                             TransactionOptions transaction_options)
    : core_(std::make_shared<Core>(cluster, options, std::move(transaction_options))) {
  cluster->add_user(core_);
}
TransactionalProducer::~TransactionalProducer() { close(); }
TransactionalProducer::TransactionalProducer(TransactionalProducer&&) noexcept = default;
TransactionalProducer& TransactionalProducer::operator=(TransactionalProducer&& other) noexcept {
  if (this != &other) {
    close();
    core_ = std::move(other.core_);
  }
  return *this;
}

Task<Status> TransactionalProducer::init_transactions(MonotonicTime deadline) {
  return core_->init_transactions(deadline);
}
Status TransactionalProducer::begin() { return core_->begin(); }
PartitionSlot TransactionalProducer::slot(const TopicPartition& partition) {
  return core_->sender().slot(partition);
}
Status TransactionalProducer::append(PartitionSlot slot, const protocol::NewRecord& record,
                                     RecordOrigin origin) {
  if (core_->state() != State::kInTransaction) [[unlikely]] {
    return fail(ErrorCode::kInvalidArgument, "append: no transaction is open");
  }
  return core_->sender().append(slot, record, origin);
}
void TransactionalProducer::limit_batches(PartitionSlot slot, std::size_t bytes_max) {
  core_->sender().limit_batches(slot, bytes_max);
}
const std::optional<RecordOrigin>& TransactionalProducer::refused_origin() const {
  return core_->sender().refused_origin();
}
Status TransactionalProducer::append_batch(PartitionSlot slot, Buffer batch) {
  if (core_->state() != State::kInTransaction) {
    return fail(ErrorCode::kInvalidArgument, "append: no transaction is open");
  }
  return core_->sender().append_batch(slot, std::move(batch));
}
bool TransactionalProducer::has_room() const { return core_->sender().has_room(); }
Task<Status> TransactionalProducer::wait_for_room(MonotonicTime deadline) {
  return core_->sender().wait_for_room(deadline);
}
Task<Status> TransactionalProducer::flush(MonotonicTime deadline) {
  return core_->sender().flush(deadline);
}
Status TransactionalProducer::send_offsets(GroupMetadata group,
                                           std::vector<OffsetToCommit> offsets) {
  return core_->send_offsets(std::move(group), std::move(offsets));
}
Task<Status> TransactionalProducer::commit(MonotonicTime deadline) {
  return core_->commit(deadline);
}
Task<Status> TransactionalProducer::abort(MonotonicTime deadline) { return core_->abort(deadline); }
TransactionalProducer::State TransactionalProducer::state() const { return core_->state(); }
ProducerIdentity TransactionalProducer::identity() const { return core_->identity(); }
int TransactionalProducer::transaction_version() const { return core_->version(); }
bool TransactionalProducer::is_pipelined() const { return core_->is_pipelined(); }
Offset TransactionalProducer::acknowledged_end(PartitionSlot slot) const {
  return core_->sender().acknowledged_end(slot);
}
ProducerStatistics TransactionalProducer::statistics() const {
  return core_->sender().statistics();
}
void TransactionalProducer::close() {
  if (core_) {
    core_->close();
  }
}

}  // namespace onceflow::client
