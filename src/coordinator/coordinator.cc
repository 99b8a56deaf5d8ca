#include "coordinator/coordinator.h"

#include <algorithm>

#include "coordinator/records.h"

namespace onceflow::coordinator {
namespace {

constexpr std::int8_t kSnapshotVersion = kSnapshotVersionWithBeginnings;

std::unexpected<Error> corrupt(const char* what) {
  return fail(onceflow::ErrorCode::kCorrupt,
              std::string("coordinator ") + what +
                  " does not decode: it was written by another "
                  "version of onceflow, or damaged in a way its checksum does not show");
}

}  // namespace

Coordinator::Coordinator(CoordinatorOptions options)
    : seeded_bug_(options.transactions.seeded_bug),
      producer_ids_(options.first_producer_id),
      groups_(options.groups),
      transactions_(options.transactions, producer_ids_, groups_) {}

OffsetCommitReply Coordinator::txn_offset_commit(const TxnOffsetCommitRequest& request,
                                                 const Moment& moment, Effects& effects) {
  const std::string_view group_id = request.member.group_id;
  const ErrorCode refused = group_id.empty()
                                ? ErrorCode::kInvalidGroupId
                                : transactions_.admit_offsets(request.transaction, group_id,
                                                              request.api_version, moment, effects);
  if (refused != ErrorCode::kNone) {
    return {.error = refused,
            .partition_errors = std::vector<ErrorCode>(request.offsets.size(), refused)};
  }
  OffsetCommitReply reply = groups_.commit_pending_offsets(
      request.member, request.transaction.producer.id, request.offsets, moment, effects);
  for (std::size_t index = 0; index < request.offsets.size(); ++index) {
    const TopicIdPartition& partition = request.offsets[index].partition;
    const TransactionPart part{.group_id = group_id,
                               .topic = as_text(std::as_bytes(std::span(partition.topic_id.bytes))),
                               .partition = partition.partition};
    switch (reply.partition_errors[index]) {
      case ErrorCode::kNone:
        transactions_.settle_doubt(request.transaction, part, effects);
        break;
      case ErrorCode::kCoordinatorNotAvailable:  // clients ask again
        transactions_.add_doubt(request.transaction, part, moment, effects);
        break;
      default:
        transactions_.mark_must_abort(request.transaction, moment, effects);
    }
  }
  return reply;
}

ErrorCode Coordinator::admit_idempotent(ProducerIdentity producer, Sequence first_sequence) {
  if (transactions_.find_by_producer_id(producer.id)) {
    return ErrorCode::kInvalidProducerIdMapping;
  }
  const ErrorCode error = producer_ids_.admit(producer, first_sequence);
  return seeded_bug_ == SeededBug::kIdNotGivenOutAccepted ? ErrorCode::kNone : error;
}

ErrorCode Coordinator::delete_group(std::string_view group_id, Effects& effects) {
  return transactions_.is_group_in_ongoing_transaction(group_id)
             ? ErrorCode::kNonEmptyGroup
             : groups_.delete_group(group_id, effects);
}

std::optional<MonotonicTime> Coordinator::next_deadline() const {
  const std::optional<MonotonicTime> transaction = transactions_.next_deadline();
  const std::optional<MonotonicTime> group = groups_.next_deadline();
  if (!transaction || !group) {
    return transaction ? transaction : group;
  }
  return std::min(*transaction, *group);
}

void Coordinator::on_time(const Moment& moment, Effects& effects) {
  transactions_.on_time(moment, effects);
  groups_.on_time(moment, effects);
}

Status Coordinator::replay(ByteView record) {
  WireReader reader(record);
  const auto kind = static_cast<RecordKind>(reader.read_int8());
  const std::int8_t version = reader.read_int8();
  const std::int8_t version_max =
      kind == RecordKind::kTransactionExtended ? kExtendedVersionWithBeginning : kRecordVersion;
  if (version < 0 || version > version_max || !reader.ok()) {
    return corrupt("record");
  }
  switch (kind) {
    case RecordKind::kProducerIdBlock:
      producer_ids_.replay(reader);
      break;
    case RecordKind::kTransactionalId:
      transactions_.replay_transactional_id(reader);
      break;
    case RecordKind::kTransactionExtended:
      transactions_.replay_transaction_extended(reader, version);
      break;
    case RecordKind::kTransactionEnded:
      transactions_.replay_transaction_ended(reader);
      break;
    case RecordKind::kGroup:
      groups_.replay_group(reader);
      break;
    case RecordKind::kGroupDeleted:
      groups_.replay_group_deleted(reader);
      break;
    case RecordKind::kOffsets:
      groups_.replay_offsets(reader);
      break;
    case RecordKind::kPendingOffsets:
      groups_.replay_pending_offsets(reader);
      break;
    case RecordKind::kMemberRemoved:
      groups_.replay_member_removed(reader);
      break;
    case RecordKind::kTransactionDoubt:
      transactions_.replay_transaction_doubt(reader);
      break;
    case RecordKind::kMemberSilence:
      groups_.replay_member_silence(reader);
      break;
    case RecordKind::kOffsetsDeleted:
      groups_.replay_offsets_deleted(reader);
      break;
    default:
      reader.fail();
  }
  if (!reader.ok() || reader.remaining() != 0) {
    return corrupt("record");
  }
  return {};
}

void Coordinator::start(const Moment& moment, Effects& effects) {
  transactions_.restart_clocks(moment, effects);
  groups_.restart_clocks(moment, effects);
}

void Coordinator::write_snapshot(Buffer& destination) const {
  WireWriter writer(destination);
  writer.write_int8(kSnapshotVersion);
  producer_ids_.write_snapshot(writer);
  transactions_.write_snapshot(writer);
  groups_.write_snapshot(writer);
}

Buffer Coordinator::snapshot() const {
  Buffer bytes;
  write_snapshot(bytes);
  return bytes;
}

Status Coordinator::restore(ByteView snapshot) {
  WireReader reader(snapshot);
  const std::int8_t version = reader.read_int8();
  if (version >= 0 && version <= kSnapshotVersion) {
    producer_ids_.restore(reader);
    transactions_.restore(reader, version);
    groups_.restore(reader, version);
  } else {
    reader.fail();
  }
  if (!reader.ok() || reader.remaining() != 0) {
    return corrupt("snapshot");
  }
  return {};
}

}  // namespace onceflow::coordinator
