#include "coordinator/transaction_coordinator.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "coordinator/records.h"

namespace onceflow::coordinator {
namespace {

constexpr std::int16_t kEndTxnVersionWithBump = 5;
constexpr std::int16_t kProduceVersionThatAdds = 12;
constexpr std::int16_t kTxnOffsetCommitVersionThatAdds = 5;
constexpr std::int16_t kProduceVersionWithAbortableError = 11;
constexpr std::int16_t kTxnOffsetCommitVersionWithAbortableError = 4;

// In memory: of a partition a node of its set; of a group one of its set and one of the count of
// transactions that have it, each with the id.
constexpr std::size_t kPartitionBytes = 64;
constexpr std::size_t kGroupBytes = 192;
std::size_t group_bytes_of(std::string_view group) { return kGroupBytes + 2 * group.size(); }

// Markers that a turn of the loop writes, of transactions that time out together: some 10 ms. One
// transaction is ended whole.
constexpr std::size_t kMarkersAtOnce = 2000;

/// PRODUCER_FENCED is younger than these APIs: before `first_version` clients know only the other.
ErrorCode fenced(std::int16_t api_version, std::int16_t first_version) {
  return api_version < first_version ? ErrorCode::kInvalidProducerEpoch
                                     : ErrorCode::kProducerFenced;
}
ErrorCode fenced_init(const Caller& caller) { return fenced(caller.api_version, 4); }
ErrorCode fenced_request(const Caller& caller) { return fenced(caller.api_version, 2); }

TransactionState completed(TransactionResult result) {
  return result == TransactionResult::kCommit ? TransactionState::kCompleteCommit
                                              : TransactionState::kCompleteAbort;
}

}  // namespace

TransactionCoordinator::TransactionCoordinator(TransactionOptions options,
                                               ProducerIds& producer_ids, GroupCoordinator& groups)
    : options_(options), producer_ids_(producer_ids), groups_(groups) {
  CHECK(options_.epoch_max.value > 1);
}

// --- Requests ---

InitProducerIdReply TransactionCoordinator::init_producer_id(const InitProducerIdRequest& request,
                                                             const Caller& caller,
                                                             Effects& effects) {
  if (!request.transactional_id) {
    return {.producer = {producer_ids_.next(effects), ProducerEpoch(0)}};
  }
  const ProducerIdentity& expected = request.expected;
  const bool is_fresh = expected == ProducerIdentity{};
  if (request.transactional_id->empty() ||
      (!is_fresh && (expected.id.value < 0 || expected.epoch.value < 0))) {
    return {.error = ErrorCode::kInvalidRequest};
  }
  if (request.transaction_timeout <= Duration::zero() ||
      request.transaction_timeout > options_.timeout_max) {
    return {.error = ErrorCode::kInvalidTransactionTimeout};
  }
  const auto place = transactions_.find(*request.transactional_id);
  if (place == transactions_.end()) {
    return create(*request.transactional_id, request.transaction_timeout, caller, effects);
  }

  Entry& entry = *place;
  Transaction& transaction = entry.second;
  const bool is_newest = expected == transaction.producer;
  if (!is_fresh && !is_newest && expected != transaction.previous) {
    return {.error = fenced_init(caller)};
  }
  if (!note_connection(transaction, caller)) {
    return {.verdict = ConnectionVerdict::kClose};
  }
  if (!is_fresh && !is_newest) {
    // The answer to its last request was lost, or its transaction timed out: nobody else has had
    // the present epoch, so it may have it, and without another bump.
    return {.producer = transaction.producer};
  }
  const Bump bumped = bump(transaction.producer, effects);
  const Settled settled{.state = TransactionState::kEmpty,
                        .producer = bumped.next,
                        .previous = is_fresh ? ProducerIdentity{} : transaction.producer,
                        .timeout = request.transaction_timeout};
  if (transaction.state == TransactionState::kOngoing) {
    end(entry, TransactionResult::kAbort, bumped.marker, settled, caller.moment, effects);
  } else {
    settle(entry.first, settled, effects);
  }
  return {.producer = settled.producer};
}

InitProducerIdReply TransactionCoordinator::create(const std::string& transactional_id,
                                                   Duration timeout, const Caller& caller,
                                                   Effects& effects) {
  if (transactional_id.size() > options_.transactional_id_bytes_max) {
    return {.error = ErrorCode::kInvalidRequest};
  }
  if (transactions_.size() >= options_.transactional_id_count_max) {
    return {.error = ErrorCode::kCoordinatorNotAvailable};
  }
  const ProducerIdentity producer{producer_ids_.next(effects), ProducerEpoch(0)};
  settle(transactional_id, {.producer = producer, .timeout = timeout}, effects);
  transactions_.at(transactional_id).newest_connection = caller.connection;
  return {.producer = producer};
}

TransactionCoordinator::Found TransactionCoordinator::find_for_coordinator_request(
    const TransactionKey& key, const Caller& caller) {
  if (key.transactional_id.empty()) {
    return {.error = ErrorCode::kInvalidRequest};
  }
  const auto place = transactions_.find(key.transactional_id);
  if (place == transactions_.end()) {
    return {.error = ErrorCode::kInvalidProducerIdMapping};
  }
  Transaction& transaction = place->second;
  if (key.producer.id != transaction.producer.id) {
    return {.entry = &*place, .error = ErrorCode::kInvalidProducerIdMapping};
  }
  if (key.producer.epoch != transaction.producer.epoch) {
    return {.entry = &*place, .error = fenced_request(caller)};
  }
  if (!note_connection(transaction, caller)) {
    return {.entry = &*place, .verdict = ConnectionVerdict::kClose};
  }
  return {.entry = &*place};
}

/// False if a newer connection has spoken for the id. Only a request of the newest producer counts:
/// a fenced one gets its error, and shuts nobody out.
bool TransactionCoordinator::note_connection(Transaction& transaction, const Caller& caller) {
  if (caller.connection < transaction.newest_connection) {
    return false;
  }
  transaction.newest_connection = caller.connection;
  return true;
}

TransactionReply TransactionCoordinator::add_partitions(
    const TransactionKey& key, std::span<const TopicIdPartition> partitions, const Caller& caller,
    Effects& effects) {
  const Found found = find_for_coordinator_request(key, caller);
  if (found.error != ErrorCode::kNone || found.verdict == ConnectionVerdict::kClose) {
    return {.error = found.error, .verdict = found.verdict};
  }
  if (!partitions.empty()) {
    const Addition addition{.partitions = partitions};
    if (const ErrorCode beyond = check_bounds(found.entry->second, addition);
        beyond != ErrorCode::kNone) {
      return {.error = beyond};
    }
    begin_or_add(*found.entry, addition, caller.moment, effects);
  }
  return {};
}

TransactionReply TransactionCoordinator::add_offsets(const TransactionKey& key,
                                                     std::string_view group_id,
                                                     const Caller& caller, Effects& effects) {
  const Found found = find_for_coordinator_request(key, caller);
  if (found.error != ErrorCode::kNone || found.verdict == ConnectionVerdict::kClose) {
    return {.error = found.error, .verdict = found.verdict};
  }
  const Addition addition{.groups = {&group_id, 1}};
  if (const ErrorCode beyond = check_bounds(found.entry->second, addition);
      beyond != ErrorCode::kNone) {
    return {.error = beyond};
  }
  begin_or_add(*found.entry, addition, caller.moment, effects);
  return {};
}

ErrorCode TransactionCoordinator::verify_partition(const TransactionKey& key,
                                                   const TopicIdPartition& partition) const {
  const Found found = find_for_data(key);
  if (found.error != ErrorCode::kNone) {
    return found.error;
  }
  const Transaction& transaction = found.entry->second;
  return transaction.state == TransactionState::kOngoing &&
                 transaction.partitions.contains(partition)
             ? ErrorCode::kNone
             : ErrorCode::kTransactionAbortable;
}

EndTxnReply TransactionCoordinator::end_txn(const TransactionKey& key, TransactionResult result,
                                            const Caller& caller, Effects& effects) {
  const Found found = find_for_coordinator_request(key, caller);
  if (found.entry == nullptr) {
    return {.error = found.error};
  }
  const Transaction& transaction = found.entry->second;
  const bool is_v2 = caller.api_version >= kEndTxnVersionWithBump;
  const bool is_retry = is_v2 && key.producer.id.value >= 0 && key.producer == transaction.previous;
  if (is_retry) {
    return answer_retry(transaction, result);
  }
  if (found.error != ErrorCode::kNone || found.verdict == ConnectionVerdict::kClose) {
    return {.error = found.error, .verdict = found.verdict};
  }
  if (transaction.state == TransactionState::kOngoing &&
      (transaction.must_abort || !transaction.doubts.empty()) &&
      result == TransactionResult::kCommit) {
    return {.error = ErrorCode::kTransactionAbortable};
  }
  return is_v2 ? end_txn_v2(*found.entry, result, caller.moment, effects)
               : end_txn_v1(*found.entry, result, caller.moment, effects);
}

EndTxnReply TransactionCoordinator::end_txn_v1(Entry& entry, TransactionResult result,
                                               const Moment& moment, Effects& effects) {
  Transaction& transaction = entry.second;
  if (transaction.state != TransactionState::kOngoing) {
    // A retry and the commit of an empty transaction cannot be told apart here: the weakness of v1
    // that the bumped epoch of v2 ends.
    return {.error = transaction.state == completed(result) ? ErrorCode::kNone
                                                            : ErrorCode::kInvalidTxnState,
            .producer = transaction.producer};
  }
  end(entry, result, transaction.producer,
      {.state = completed(result),
       .producer = transaction.producer,
       .timeout = transaction.timeout},
      moment, effects);
  return {.producer = transaction.producer};
}

EndTxnReply TransactionCoordinator::end_txn_v2(Entry& entry, TransactionResult result,
                                               const Moment& moment, Effects& effects) {
  Transaction& transaction = entry.second;
  const bool is_ongoing = transaction.state == TransactionState::kOngoing;
  if (!is_ongoing && result == TransactionResult::kCommit) {
    return {.error = ErrorCode::kInvalidTxnState};
  }
  // An abort of nothing is a success: the producer cannot know whether its implicit add arrived.
  const Bump bumped = bump(transaction.producer, effects);
  const Settled settled{.state = completed(result),
                        .producer = bumped.next,
                        .previous = transaction.producer,
                        .timeout = transaction.timeout};
  if (is_ongoing) {
    end(entry, result, bumped.marker, settled, moment, effects);
  } else {
    settle(entry.first, settled, effects);
  }
  return {.producer = settled.producer};
}

/// By the epoch before the last bump: the transaction it speaks of is over, only the answer is
/// wanted.
EndTxnReply TransactionCoordinator::answer_retry(const Transaction& transaction,
                                                 TransactionResult result) {
  if (transaction.state == completed(result)) {
    return {.producer = transaction.producer};
  }
  // Not 48 for a commit that found its transaction timed out: that is fatal for the application,
  // and being fenced is not (KAFKA-20785).
  return {.error = transaction.state == TransactionState::kCompleteCommit
                       ? ErrorCode::kInvalidTxnState
                       : ErrorCode::kProducerFenced};
}

// --- Data inside a transaction ---

TransactionCoordinator::Found TransactionCoordinator::find_for_data(
    const TransactionKey& key) const {
  const ProducerIdentity& producer = key.producer;
  const auto by_id = by_producer_id_.find(producer.id);
  if (by_id != by_producer_id_.end() && key.transactional_id == by_id->second->first) {
    const bool is_newest = producer.epoch == by_id->second->second.producer.epoch;
    return {.entry = by_id->second,
            .error = is_newest ? ErrorCode::kNone : ErrorCode::kInvalidProducerEpoch};
  }
  const auto by_name = transactions_.find(key.transactional_id);
  const bool was_rotated = by_name != transactions_.end() && producer.id.value >= 0 &&
                           producer == by_name->second.previous;
  return {.error = was_rotated ? ErrorCode::kInvalidProducerEpoch
                               : ErrorCode::kInvalidProducerIdMapping};
}

ErrorCode TransactionCoordinator::admit_produce(const TransactionKey& key,
                                                const TopicIdPartition& partition,
                                                std::int16_t produce_version, const Moment& moment,
                                                Effects& effects) {
  const Found found = find_for_data(key);
  if (found.error != ErrorCode::kNone) {
    return found.error;
  }
  const Transaction& transaction = found.entry->second;
  if (transaction.state == TransactionState::kOngoing &&
      transaction.partitions.contains(partition)) {
    return ErrorCode::kNone;
  }
  if (produce_version < kProduceVersionThatAdds) {
    return produce_version < kProduceVersionWithAbortableError ? ErrorCode::kInvalidTxnState
                                                               : ErrorCode::kTransactionAbortable;
  }
  return add_by_data(*found.entry, {.partitions = {&partition, 1}}, moment, effects);
}

ErrorCode TransactionCoordinator::admit_offsets(const TransactionKey& key,
                                                std::string_view group_id, std::int16_t api_version,
                                                const Moment& moment, Effects& effects) {
  if (key.transactional_id.empty()) {
    return ErrorCode::kInvalidRequest;
  }
  const Found found = find_for_data(key);
  if (found.error != ErrorCode::kNone) {
    return found.error;
  }
  const Transaction& transaction = found.entry->second;
  if (transaction.state == TransactionState::kOngoing && transaction.groups.contains(group_id)) {
    return ErrorCode::kNone;
  }
  if (api_version < kTxnOffsetCommitVersionThatAdds) {
    return api_version < kTxnOffsetCommitVersionWithAbortableError
               ? ErrorCode::kInvalidTxnState
               : ErrorCode::kTransactionAbortable;
  }
  return add_by_data(*found.entry, {.groups = {&group_id, 1}}, moment, effects);
}

// What was sent in the transaction is left out of it, and its commit may be on its way already.
ErrorCode TransactionCoordinator::add_by_data(Entry& entry, const Addition& addition,
                                              const Moment& moment, Effects& effects) {
  const ErrorCode beyond = check_bounds(entry.second, addition);
  if (beyond != ErrorCode::kNone) {
    begin_or_add(entry, {.must_abort = true}, moment, effects);
    return beyond == ErrorCode::kInvalidGroupId ? beyond : ErrorCode::kTransactionAbortable;
  }
  begin_or_add(entry, addition, moment, effects);
  return ErrorCode::kNone;
}

void TransactionCoordinator::mark_must_abort(const TransactionKey& key, const Moment& moment,
                                             Effects& effects) {
  const Found found = find_for_data(key);
  if (found.error == ErrorCode::kNone) {
    begin_or_add(*found.entry, {.must_abort = true}, moment, effects);
  }
}

void TransactionCoordinator::add_doubt(const TransactionKey& key, const TransactionPart& refused,
                                       const Moment& moment, Effects& effects) {
  const Found found = find_for_data(key);
  if (found.error != ErrorCode::kNone) {
    return;
  }
  const Transaction& transaction = found.entry->second;
  if (transaction.doubts.has(refused)) {
    return;
  }
  if (transaction.doubts.is_full() || refused.topic.size() > Doubts::kTopicBytesMax ||
      !has_room_for(transaction, Doubts::bytes_of(refused))) {
    mark_must_abort(key, moment, effects);
    return;
  }
  begin_or_add(*found.entry, {}, moment, effects);
  write_doubt(*found.entry, false, refused, effects);
}

void TransactionCoordinator::settle_doubt(const TransactionKey& key,
                                          const TransactionPart& accepted, Effects& effects) {
  const Found found = find_for_data(key);
  if (found.error == ErrorCode::kNone && found.entry->second.doubts.is_settled_by(accepted)) {
    write_doubt(*found.entry, true, accepted, effects);
  }
}

void TransactionCoordinator::write_doubt(Entry& entry, bool is_settled, const TransactionPart& part,
                                         Effects& effects) {
  Buffer record = begin_record(RecordKind::kTransactionDoubt);
  WireWriter writer(record);
  writer.write_sized_string(entry.first);
  writer.write_bool(is_settled);
  Doubts::encode_part(writer, part);
  WireReader reader = record_body(record);
  replay_transaction_doubt(reader);
  CHECK(reader.ok());
  effects.entries.push_back({.record = std::move(record)});
}

// --- Moves ---

TransactionCoordinator::Bump TransactionCoordinator::bump(ProducerIdentity producer,
                                                          Effects& effects) {
  CHECK(producer.epoch < options_.epoch_max);
  const ProducerIdentity next{producer.id, producer.epoch + 1};
  if (next.epoch < options_.epoch_max) {
    return {.marker = next, .next = next};
  }
  return {.marker = next, .next = {producer_ids_.next(effects), ProducerEpoch(0)}};
}

// What is there already, from before there was a bound, is kept.
ErrorCode TransactionCoordinator::check_bounds(const Transaction& transaction,
                                               const Addition& addition) const {
  std::size_t bytes = 0;
  for (const TopicIdPartition& partition : addition.partitions) {
    bytes += transaction.partitions.contains(partition) ? 0 : kPartitionBytes;
  }
  for (const std::string_view group : addition.groups) {
    if (!groups_.may_be_named(group)) {
      return ErrorCode::kInvalidGroupId;
    }
    bytes += transaction.groups.contains(group) ? 0 : group_bytes_of(group);
  }
  if (bytes == 0 || has_room_for(transaction, bytes)) {
    return ErrorCode::kNone;
  }
  return transaction.counted_part_bytes + bytes > options_.transaction_bytes_max
             ? ErrorCode::kPolicyViolation
             : ErrorCode::kCoordinatorNotAvailable;
}

bool TransactionCoordinator::has_room_for(const Transaction& transaction, std::size_t bytes) const {
  return transaction.counted_part_bytes + bytes <= options_.transaction_bytes_max &&
         part_bytes_ + bytes <= options_.transactions_bytes_max;
}

// Called by whatever has changed its parts.
void TransactionCoordinator::recount(Transaction& transaction) {
  const std::size_t bytes = transaction.partitions.size() * kPartitionBytes +
                            transaction.group_bytes + transaction.doubts.size_bytes();
  part_bytes_ += bytes - std::exchange(transaction.counted_part_bytes, bytes);
}

void TransactionCoordinator::begin_or_add(Entry& entry, const Addition& addition,
                                          const Moment& moment, Effects& effects) {
  Transaction& transaction = entry.second;
  const bool is_ongoing = transaction.state == TransactionState::kOngoing;
  const auto is_known = [&](const TopicIdPartition& partition) {
    return transaction.partitions.contains(partition);
  };
  const auto is_known_group = [&](std::string_view group) {
    return transaction.groups.contains(group);
  };
  if (is_ongoing && std::ranges::all_of(addition.partitions, is_known) &&
      std::ranges::all_of(addition.groups, is_known_group) &&
      (transaction.must_abort || !addition.must_abort)) {
    return;
  }
  write_extension(entry, addition, is_ongoing ? transaction.started_at : moment.wall,
                  is_ongoing ? transaction.beginning : Beginning::at(moment), effects);
  if (!is_ongoing) {
    transaction.deadline = moment.monotonic + transaction.timeout;
    deadlines_.emplace(transaction.deadline, transaction.producer.id);
  }
}

void TransactionCoordinator::write_extension(Entry& entry, const Addition& addition,
                                             WallTime started_at, const Beginning& beginning,
                                             Effects& effects) {
  Buffer record = begin_record(RecordKind::kTransactionExtended, kExtendedVersionWithBeginning);
  WireWriter writer(record);
  writer.write_sized_string(entry.first);
  writer.write_int64(started_at.ms);
  beginning.encode(writer);
  writer.write_bool(addition.must_abort);
  writer.write_unsigned_varint(addition.partitions.size());
  for (const TopicIdPartition& partition : addition.partitions) {
    write_partition(writer, partition);
  }
  writer.write_unsigned_varint(addition.groups.size());
  for (const std::string_view group : addition.groups) {
    writer.write_sized_string(group);
  }
  WireReader reader = record_body(record);
  replay_transaction_extended(reader, kExtendedVersionWithBeginning);
  CHECK(reader.ok());
  effects.entries.push_back({.record = std::move(record)});
}

/// The one end of every transaction: by EndTxn, by timeout, by a newer producer.
void TransactionCoordinator::end(Entry& entry, TransactionResult result, ProducerIdentity marker,
                                 const Settled& settled, const Moment& moment, Effects& effects) {
  const Transaction& transaction = entry.second;
  CHECK(transaction.state == TransactionState::kOngoing);
  CHECK(marker.id == transaction.producer.id && marker.epoch >= transaction.producer.epoch);
  CHECK(result == TransactionResult::kAbort ||
        (!transaction.must_abort && transaction.doubts.empty()));
  check_no_step_back(transaction, settled);

  Buffer record = begin_record(RecordKind::kTransactionEnded);
  WireWriter writer(record);
  writer.write_sized_string(entry.first);
  writer.write_int8(static_cast<std::int8_t>(result));
  writer.write_unsigned_varint(transaction.groups.size());
  for (const std::string& group : transaction.groups) {
    writer.write_sized_string(group);
  }
  write_settled(writer, settled);

  JournalEntry journal_entry{.record = std::move(record)};
  if (!transaction.partitions.empty()) {
    journal_entry.end_transaction = EndTransaction{
        .marker = marker,
        .result = result,
        .timestamp = moment.wall,
        .partitions = {transaction.partitions.begin(), transaction.partitions.end()}};
  }
  const ProducerId producer_id = transaction.producer.id;
  const std::vector<std::string> groups(transaction.groups.begin(), transaction.groups.end());
  WireReader reader = record_body(journal_entry.record);
  replay_transaction_ended(reader);
  CHECK(reader.ok());
  for (const std::string& group : groups) {
    CHECK_INVARIANT("TXN-2", !groups_.has_pending_offsets(group, producer_id));
  }
  effects.entries.push_back(std::move(journal_entry));
}

/// A new identity or state of an id, known or not, that has no transaction to end.
void TransactionCoordinator::settle(const std::string& transactional_id, const Settled& settled,
                                    Effects& effects) {
  if (const auto place = transactions_.find(transactional_id); place != transactions_.end()) {
    CHECK(place->second.state != TransactionState::kOngoing);
    check_no_step_back(place->second, settled);
  }
  Buffer record = begin_record(RecordKind::kTransactionalId);
  WireWriter writer(record);
  writer.write_sized_string(transactional_id);
  write_settled(writer, settled);
  WireReader reader = record_body(record);
  replay_transactional_id(reader);
  CHECK(reader.ok());
  effects.entries.push_back({.record = std::move(record)});
}

void TransactionCoordinator::check_no_step_back(const Transaction& transaction,
                                                const Settled& settled) const {
  CHECK(settled.producer.epoch < options_.epoch_max);
  CHECK(settled.producer.id == transaction.producer.id
            ? settled.producer.epoch >= transaction.producer.epoch
            : settled.producer.id > transaction.producer.id);
}

void TransactionCoordinator::apply_settled(Entry& entry, const Settled& settled) {
  Transaction& transaction = entry.second;
  deadlines_.erase({transaction.deadline, transaction.producer.id});
  if (transaction.producer.id != settled.producer.id) {
    by_producer_id_.erase(transaction.producer.id);
    by_producer_id_.emplace(settled.producer.id, &entry);
  }
  transaction.producer = settled.producer;
  transaction.previous = settled.previous;
  transaction.state = settled.state;
  transaction.must_abort = false;
  transaction.doubts.clear();
  transaction.timeout = settled.timeout;
  transaction.started_at = {};
  transaction.beginning = {};
  transaction.partitions.clear();
  for (const std::string& group : transaction.groups) {
    const auto counted = ongoing_by_group_.find(group);
    if (--counted->second == 0) {
      ongoing_by_group_.erase(counted);
    }
  }
  transaction.groups.clear();
  transaction.group_bytes = 0;
  recount(transaction);
}

// --- Time ---

std::optional<MonotonicTime> TransactionCoordinator::next_deadline() const {
  return deadlines_.empty() ? std::nullopt : std::optional(deadlines_.begin()->first);
}

void TransactionCoordinator::on_time(const Moment& moment, Effects& effects) {
  std::size_t marker_count = 0;
  while (!deadlines_.empty() && deadlines_.begin()->first <= moment.monotonic &&
         marker_count < kMarkersAtOnce) {
    Entry& entry = *by_producer_id_.at(deadlines_.begin()->second);
    const Transaction& transaction = entry.second;
    marker_count += 1 + transaction.partitions.size();
    const Bump bumped = bump(transaction.producer, effects);
    end(entry, TransactionResult::kAbort, bumped.marker,
        {.state = TransactionState::kCompleteAbort,
         .producer = bumped.next,
         .previous = transaction.producer,
         .timeout = transaction.timeout},
        moment, effects);
  }
  CHECK_INVARIANT("TXN-3", deadlines_.empty() || deadlines_.begin()->first > moment.monotonic ||
                               marker_count >= kMarkersAtOnce);
}

void TransactionCoordinator::restart_clocks(const Moment& moment, Effects& effects) {
  deadlines_.clear();
  for (Entry& entry : transactions_) {
    Transaction& transaction = entry.second;
    if (transaction.state != TransactionState::kOngoing) {
      continue;
    }
    if (!transaction.beginning.is_of_epoch(moment.monotonic_epoch)) {
      write_extension(entry, {}, transaction.started_at, transaction.beginning.rebased(moment),
                      effects);
    }
    const Duration age = options_.seeded_bug == SeededBug::kForgetTransactionTimeouts
                             ? Duration::zero()
                             : transaction.beginning.age(moment);
    transaction.deadline = moment.monotonic + std::max(transaction.timeout - age, Duration::zero());
    deadlines_.emplace(transaction.deadline, transaction.producer.id);
  }
}

// --- Replay: the only functions that change a transaction, live too ---

void TransactionCoordinator::write_settled(WireWriter& writer, const Settled& settled) {
  writer.write_int8(static_cast<std::int8_t>(settled.state));
  write_producer(writer, settled.producer);
  write_producer(writer, settled.previous);
  writer.write_int32(static_cast<std::int32_t>(to_ms(settled.timeout)));
}

TransactionCoordinator::Settled TransactionCoordinator::read_settled(WireReader& reader) {
  Settled settled;
  settled.state = static_cast<TransactionState>(reader.read_int8());
  settled.producer = read_producer(reader);
  settled.previous = read_producer(reader);
  settled.timeout = milliseconds(reader.read_int32());
  if (settled.state != TransactionState::kEmpty &&
      settled.state != TransactionState::kCompleteCommit &&
      settled.state != TransactionState::kCompleteAbort) {
    reader.fail();
  }
  return settled;
}

void TransactionCoordinator::replay_transactional_id(WireReader& reader) {
  const std::string transactional_id = read_client_text(reader);
  const Settled settled = read_settled(reader);
  if (!reader.ok()) {
    return;
  }
  apply_settled(*transactions_.try_emplace(transactional_id).first, settled);
}

void TransactionCoordinator::read_addition(WireReader& reader, Transaction& transaction) {
  for (std::size_t left = read_count(reader, sizeof(TopicId) + sizeof(std::int32_t)); left > 0;
       --left) {
    transaction.partitions.insert(read_partition(reader));
  }
  for (std::size_t left = read_count(reader, 1); left > 0; --left) {
    const auto [group, is_new] = transaction.groups.insert(read_client_text(reader));
    if (is_new) {
      ++ongoing_by_group_[*group];
      transaction.group_bytes += group_bytes_of(*group);
    }
  }
  recount(transaction);
}

void TransactionCoordinator::replay_transaction_extended(WireReader& reader, std::int8_t version) {
  const auto place = transactions_.find(read_client_text(reader));
  const WallTime started_at{reader.read_int64()};
  const Beginning beginning = version < kExtendedVersionWithBeginning
                                  ? Beginning{.wall = started_at}
                                  : Beginning::decode(reader);
  const bool must_abort = reader.read_bool();
  if (!reader.ok() || place == transactions_.end()) {
    reader.fail();
    return;
  }
  Transaction& transaction = place->second;
  transaction.state = TransactionState::kOngoing;
  transaction.previous = {};
  transaction.started_at = started_at;
  transaction.beginning = beginning;
  transaction.must_abort |= must_abort;
  read_addition(reader, transaction);
}

void TransactionCoordinator::replay_transaction_doubt(WireReader& reader) {
  const auto place = transactions_.find(read_client_text(reader));
  const bool is_settled = reader.read_bool();
  const TransactionPart part = Doubts::decode_part(reader);
  if (!reader.ok() || place == transactions_.end() ||
      place->second.state != TransactionState::kOngoing) {
    reader.fail();
    return;
  }
  if (is_settled) {
    place->second.doubts.settle(part);
  } else {
    place->second.doubts.add(part);
  }
  recount(place->second);
}

void TransactionCoordinator::replay_transaction_ended(WireReader& reader) {
  const auto place = transactions_.find(read_client_text(reader));
  const auto result = static_cast<TransactionResult>(reader.read_int8());
  std::vector<std::string> groups;
  for (std::size_t left = read_count(reader, 1); left > 0; --left) {
    groups.push_back(read_client_text(reader));
  }
  const Settled settled = read_settled(reader);
  if (!reader.ok() || place == transactions_.end() ||
      place->second.state != TransactionState::kOngoing) {
    reader.fail();
    return;
  }
  groups_.end_transaction(place->second.producer.id, result, groups);
  apply_settled(*place, settled);
}

void TransactionCoordinator::write_snapshot(WireWriter& writer) const {
  writer.write_unsigned_varint(transactions_.size());
  for (const auto& [transactional_id, transaction] : transactions_) {
    writer.write_sized_string(transactional_id);
    const bool is_ongoing = transaction.state == TransactionState::kOngoing;
    write_settled(writer, {.state = is_ongoing ? TransactionState::kEmpty : transaction.state,
                           .producer = transaction.producer,
                           .previous = transaction.previous,
                           .timeout = transaction.timeout});
    writer.write_bool(is_ongoing);
    if (is_ongoing) {
      writer.write_int64(transaction.started_at.ms);
      transaction.beginning.encode(writer);
      writer.write_bool(transaction.must_abort);
      transaction.doubts.encode(writer);
      writer.write_unsigned_varint(transaction.partitions.size());
      for (const TopicIdPartition& partition : transaction.partitions) {
        write_partition(writer, partition);
      }
      writer.write_unsigned_varint(transaction.groups.size());
      for (const std::string& group : transaction.groups) {
        writer.write_sized_string(group);
      }
    }
  }
}

void TransactionCoordinator::restore(WireReader& reader, std::int8_t version) {
  const bool has_beginnings = version >= kSnapshotVersionWithBeginnings;
  for (std::size_t left = read_count(reader, 1); left > 0 && reader.ok(); --left) {
    const std::string transactional_id = read_client_text(reader);
    const Settled settled = read_settled(reader);
    const bool is_ongoing = reader.read_bool();
    if (!reader.ok()) {
      return;
    }
    Entry& entry = *transactions_.try_emplace(transactional_id).first;
    apply_settled(entry, settled);
    if (is_ongoing) {
      Transaction& transaction = entry.second;
      transaction.state = TransactionState::kOngoing;
      transaction.started_at = WallTime{reader.read_int64()};
      transaction.beginning =
          has_beginnings ? Beginning::decode(reader) : Beginning{.wall = transaction.started_at};
      transaction.must_abort = reader.read_bool();
      if (has_beginnings) {
        transaction.doubts.decode(reader);
      }
      read_addition(reader, transaction);
    }
  }
}

}  // namespace onceflow::coordinator
