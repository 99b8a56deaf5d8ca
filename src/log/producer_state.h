// ProducerStates: what a partition remembers of those who write to it, so that a retry appends
// nothing (PRD-1) and a stale epoch is turned away (PRD-2). Pure: no clock, no disk. Owned by a
// Partition, on the log's thread.
//
// Of each producer: its epoch, its last five batches (clients have at most five requests in
// flight), and where its open transaction began. The order of checks is Kafka's: duplicate, epoch,
// sequence.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "base/wire.h"
#include "protocol/error_code.h"
#include "protocol/record_batch.h"

namespace onceflow::log {

/// One appended batch, as far as a duplicate of it must be answered.
struct BatchDescriptor {
  Sequence first_sequence;
  Sequence last_sequence;
  Offset first_offset;
  Offset last_offset;
  std::int64_t timestamp = -1;  ///< what the answer says of log append time; -1 for create time
  JournalPosition journal_position;  ///< a duplicate is answered when this is durable
};

/// What an incoming batch says of itself.
struct IncomingBatch {
  ProducerIdentity producer;
  Sequence first_sequence = kNoSequence;
  std::int32_t last_offset_delta = 0;
  bool is_transactional = false;

  static IncomingBatch of(const protocol::RecordBatchHeader& header);
  Sequence last_sequence() const;
};

/// How a sequence is judged where nothing is known of the producer. Transactions v2 always begin at
/// 0 (KAFKA-18202); every other producer may have outlived its state.
enum class UnknownProducer { kAnySequence, kSequenceZero };

struct ProducerState {
  static constexpr std::size_t kBatchesKept = 5;

  ProducerEpoch epoch = kNoProducerEpoch;
  std::int32_t coordinator_epoch = -1;
  Offset transaction_first_offset = kNoOffset;  ///< kNoOffset: no transaction open here
  std::int64_t last_timestamp = -1;             ///< of the last batch, for DescribeProducers
  MonotonicTime last_receipt{};                 ///< for expiry; by our clock, never the records'

  std::span<const BatchDescriptor> batches() const { return {batches_.data(), batch_count_}; }
  void push_batch(const BatchDescriptor& batch);
  void clear_batches() { batch_count_ = 0; }
  /// kNoSequence if no batch of this epoch is known: the next must begin at 0.
  Sequence last_sequence() const;
  bool has_open_transaction() const { return transaction_first_offset != kNoOffset; }

 private:
  std::array<BatchDescriptor, kBatchesKept> batches_;  // oldest first
  std::uint8_t batch_count_ = 0;
};

class ProducerStates {
 public:
  /// Exactly this batch, epoch and boundaries, among the five kept; nullptr if it is none of them.
  const BatchDescriptor* find_duplicate(const IncomingBatch& batch) const;

  enum class EpochCheck { kOn, kOff };
  /// kNone: the batch may be appended. Else INVALID_PRODUCER_EPOCH, OUT_OF_ORDER_SEQUENCE_NUMBER or
  /// INVALID_TXN_STATE (not transactional, while the producer's transaction is open here). To be
  /// asked after find_duplicate. kOff is the seeded bug kSkipEpochCheck.
  protocol::ErrorCode check(const IncomingBatch& batch, UnknownProducer unknown,
                            EpochCheck epoch_check = EpochCheck::kOn) const;

  /// After the append, live and in recovery alike; judges nothing. Returns true if this batch
  /// opened a transaction on the partition.
  bool apply(const IncomingBatch& batch, const BatchDescriptor& appended,
             std::int64_t max_timestamp, MonotonicTime now);
  enum class Room { kSome, kNone };
  /// After a marker. A newer epoch clears the batches. Returns where the transaction it ended
  /// began; nullopt if none was open here. Of a producer that has not written here its epoch is
  /// kept, to fence what comes late, where there is `room` for one more.
  std::optional<Offset> apply_marker(ProducerIdentity marker, std::int32_t coordinator_epoch,
                                     std::int64_t timestamp, MonotonicTime now,
                                     Room room = Room::kSome);

  /// Forgets producers that have been silent since before `oldest`, except those whose transaction
  /// is open. Returns how many.
  std::size_t expire(MonotonicTime oldest);
  /// Since when each producer without an open transaction has been silent.
  void add_idle_since(std::vector<MonotonicTime>& times) const;

  const ProducerState* find(ProducerId producer) const;
  std::size_t size() const { return producers_.size(); }
  /// By producer id, for DescribeProducers.
  std::vector<std::pair<ProducerId, const ProducerState*>> sorted() const;

  /// Into and out of a checkpoint; times are kept as ages. Decoding fails the reader on nonsense.
  void encode(WireWriter& writer, MonotonicTime now) const;
  static ProducerStates decode(WireReader& reader, MonotonicTime now);
  /// The seeded bug kForgetOneOfFiveBatches: the oldest of five is lost.
  void forget_one_of_five();

 private:
  std::unordered_map<ProducerId, ProducerState> producers_;
};

}  // namespace onceflow::log
