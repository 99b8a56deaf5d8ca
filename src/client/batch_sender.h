// BatchSender: what both producers share. Batches per partition, in sequence order, from the first
// record appended to the acknowledgement; at most five of a partition in flight; repetitions byte
// for byte.
//
// Owned by a Producer or a TransactionalProducer; runs on the cluster's scheduler. Held by
// shared_ptr, because the coroutines that wait for answers may outlive the owner.
//
// A batch's life: open (the builder takes records) → closed (waits in the queue) → in flight →
// acknowledged, or back to waiting, with its bytes and its sequence as they were. While a partition
// has a batch to repeat, only the head of its queue is in flight, so that order holds.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/task.h"
#include "client/cluster.h"
#include "client/options.h"
#include "client/producer.h"
#include "io/event.h"
#include "protocol/messages/00_produce.h"
#include "protocol/record_batch_builder.h"

namespace onceflow::client {

class BatchSender : public ClusterUser, public std::enable_shared_from_this<BatchSender> {
 public:
  /// With a transactional id, batches belong to transactions and the identity comes from outside;
  /// without one the sender asks for an identity itself.
  static std::shared_ptr<BatchSender> create(std::shared_ptr<Cluster> cluster,
                                             ProducerOptions options,
                                             std::optional<std::string> transactional_id);

  PartitionSlot slot(const TopicPartition& partition);
  Status append(PartitionSlot slot, const protocol::NewRecord& record, RecordOrigin origin);
  void limit_batches(PartitionSlot slot, std::size_t bytes_max);
  const std::optional<RecordOrigin>& refused_origin() const { return refused_origin_; }
  Status append_batch(PartitionSlot slot, Buffer batch);
  bool has_room() const { return buffered_bytes_ < options_.buffer_bytes_max; }
  Task<Status> wait_for_room(MonotonicTime deadline);
  Task<Status> flush(MonotonicTime deadline);
  Offset acknowledged_end(PartitionSlot slot) const;
  void on_delivery(Callback<void(const Delivery&)> callback);
  void close() override;
  ProducerStatistics statistics() const;
  const TopicPartition& partition(PartitionSlot slot) const;
  Channel channel() const { return channel_; }
  const std::optional<Error>& failure() const { return failure_; }

  // ---- for transactions

  /// A new epoch starts every partition at sequence 0. Nothing may be buffered.
  void set_identity(ProducerIdentity identity);
  ProducerIdentity identity() const { return identity_; }

  enum class Enrolment { kImplicit, kAsked };
  /// With kAsked no batch leaves before its partition has been enrolled; `on_needed` is called when
  /// some are to be. Forgets the failure of the transaction before.
  void begin_transaction(Enrolment enrolment, Callback<void()> on_needed);
  std::vector<PartitionSlot> partitions_to_enrol() const;
  void enrolled(const std::vector<PartitionSlot>& slots);
  void fail(Error error);

  /// Forgets everything that is not acknowledged; late answers are ignored.
  void drop_all();
  /// Forgets what was never sent; its sequence numbers are free again.
  void drop_unsent();
  /// The coordinator may know of the transaction from here on.
  void mark_sent() { sent_in_transaction_ = true; }
  bool has_sent_in_transaction() const { return sent_in_transaction_; }
  bool has_data() const { return buffered_bytes_ > 0; }
  /// No request is in flight.
  Task<Status> wait_until_idle(MonotonicTime deadline);

  /// Sends what can be sent now.
  void pump();
  /// Every partition with data knows its leader.
  Task<Status> resolve_leaders(MonotonicTime deadline);
  /// Everything buffered can go out on this connection, in order, and nothing is to be repeated.
  bool can_pipeline(NodeId node, const ConnectionPointer& connection) const;
  /// Submits it all. From now on nothing is repeated: whatever fails, fails the transaction.
  void submit_all(NodeId node, const ConnectionPointer& connection);

 private:
  struct Batch {
    protocol::RecordBatchBuilder builder;  ///< until it is first sent
    Buffer bytes;                          ///< from then on; or from the start, if made elsewhere
    RecordOrigin origin;                   ///< of its first record
    std::int32_t record_count = 0;
    std::size_t accounted_bytes = 0;
    Sequence base_sequence = kNoSequence;  ///< set when it is first sent
    MonotonicTime created_at;
    int attempt_count = 0;
    bool in_flight = false;
    std::string refusal;  ///< why it is sent again; empty: it was not refused so far
  };
  using BatchPointer =
      std::shared_ptr<Batch>;  // shared between the queue and the request in flight

  struct Partition {
    TopicPartition name;
    protocol::RecordBatchBuilder open;
    RecordOrigin open_origin;  ///< of its first record
    MonotonicTime opened_at;
    std::size_t batch_bytes_max = 0;    ///< no larger one is made, but for a single record
    std::size_t message_bytes_max = 0;  ///< what the topic takes; 0: not known
    bool due = false;                   ///< the open batch need not wait for more
    std::size_t previous_bytes = 0;     ///< of the batch before: the next one is probably as large
    std::deque<BatchPointer> queue;
    int in_flight_count = 0;
    bool repeating = false;  ///< some batch in the queue was sent before and is not in flight
    MonotonicTime retry_at;
    Sequence next_sequence{0};
    Offset acknowledged_end = kNoOffset;
    NodeId leader = kNoNode;
    bool is_enrolled = false;
  };
  struct Node {
    int in_flight_count = 0;
    bool connecting = false;
    std::weak_ptr<BrokerConnection> last_used;
  };
  struct Sent {
    std::size_t partition_index;
    BatchPointer batch;
  };
  struct Gathered {
    protocol::ProduceRequest request;
    std::vector<Sent> sent;
  };
  enum class Limit { kInFlight, kNone };

  BatchSender(std::shared_ptr<Cluster> cluster, ProducerOptions options,
              std::optional<std::string> transactional_id);

  Status append_to_new_batch(Partition& partition, const protocol::NewRecord& record,
                             RecordOrigin origin);
  void open_batch(Partition& partition);
  void close_open_batch(Partition& partition);
  void stamp(Partition& partition, Batch& batch);
  BatchPointer next_batch(Partition& partition, Limit limit);
  bool has_sendable(const Partition& partition, MonotonicTime now) const;

  void pump_soon();
  void drain_node(NodeId node, const std::vector<std::size_t>& partitions);
  Gathered gather(const std::vector<std::size_t>& partitions, Limit limit);
  void submit(NodeId node, const ConnectionPointer& connection, Gathered gathered);
  static Task<void> await_answer(std::shared_ptr<BatchSender> self, NodeId node,
                                 BrokerConnection::PendingReply pending,
                                 std::shared_ptr<const std::vector<Sent>> sent);
  void accept_answer(const std::vector<Sent>& sent,
                     const Result<Reply<protocol::ProduceResponse>>& reply);
  void accept_result(const Sent& sent, const protocol::ProduceResponse::Partition& result);
  void acknowledge(const Sent& sent, Offset base_offset);
  void repeat(const Sent& sent, const Error& why);
  /// What no repetition will change: a batch of several records is tried in smaller ones, so that
  /// in the end the record itself is refused.
  void refuse(const Sent& sent, protocol::ErrorCode code, Error error);
  Status split(const Sent& sent);
  bool is_queued(const Sent& sent) const;
  void recycle(const BatchPointer& batch);
  void begin_anew();
  void expire(MonotonicTime now);
  /// "; last: …": why what is still queued was not taken; empty: nobody has refused it.
  std::string last_refusal() const;

  static Task<void> connect_node(std::shared_ptr<BatchSender> self, NodeId node);
  static Task<void> find_leaders(std::shared_ptr<BatchSender> self);
  static Task<void> obtain_identity(std::shared_ptr<BatchSender> self);
  void arm_linger(MonotonicTime time);
  void linger_passed();
  void arm_retry(MonotonicTime time);

  std::shared_ptr<Cluster> cluster_;
  ProducerOptions options_;
  std::optional<std::string> transactional_id_;
  Channel channel_;
  io::Event changed_;
  std::vector<Partition> partitions_;
  std::map<TopicPartition, PartitionSlot> slots_;
  std::map<NodeId, Node> nodes_;
  ProducerIdentity identity_;
  std::optional<Error> failure_;
  std::optional<RecordOrigin> refused_origin_;
  bool closed_ = false;
  std::size_t buffered_bytes_ = 0;
  int in_flight_requests_ = 0;
  bool pump_posted_ = false;
  bool finding_leaders_ = false;
  bool obtaining_identity_ = false;
  bool must_begin_anew_ = false;  ///< when nothing is in flight any more
  bool frozen_ = false;           ///< nothing is repeated any more
  bool sent_in_transaction_ = false;
  Enrolment enrolment_ = Enrolment::kImplicit;
  Callback<void()> on_enrolment_needed_;
  std::int16_t produce_version_max_ = kAnyVersion;
  Callback<void(const Delivery&)> on_delivery_;
  io::TimerId linger_timer_ = 0;
  io::TimerId retry_timer_ = 0;
  MonotonicTime retry_armed_;
  std::size_t gather_start_ = 0;  ///< so that no partition is always last
  std::vector<Buffer> spare_buffers_;
  ProducerStatistics statistics_;
};

}  // namespace onceflow::client
