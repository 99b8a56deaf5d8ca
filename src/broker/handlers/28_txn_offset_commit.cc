// TxnOffsetCommit: offsets that become the group's when the transaction commits. Stateless; on the
// broker's thread.
#include "broker/handlers/handlers.h"
#include "broker/handlers/offsets_to_commit.h"

namespace onceflow::broker {
namespace {

constexpr std::int16_t kFirstVersionOfTransactionsV2 = 5;

// The commit may be on its way after offsets of a partition that does not exist (design D2a), which
// clients send again, or of one that was given twice, which they do not.
void doubt_unknown(BrokerCore& core, const protocol::TxnOffsetCommitRequest& body,
                   const coordinator::TransactionKey& key, const KnownOffsets& known,
                   const coordinator::OffsetCommitReply& committed) {
  coordinator::TransactionCoordinator& transactions = core.coordinator.transactions();
  std::size_t asked = 0;
  for (const auto& topic : body.topics) {
    for (const auto& partition : topic.partitions) {
      const coordinator::TransactionPart part{
          .group_id = body.group_id,
          .topic = topic.name,
          .partition = PartitionIndex(partition.partition_index)};
      const protocol::ErrorCode error = known.errors[asked++];
      if (error == protocol::ErrorCode::kInvalidRequest) {
        transactions.mark_must_abort(key, core.moment(), core.effects);
      } else if (error != protocol::ErrorCode::kNone) {
        transactions.add_doubt(key, part, core.moment(), core.effects);
      } else if (committed.error == protocol::ErrorCode::kNone) {
        transactions.settle_doubt(key, part, core.effects);
      }
    }
  }
}

}  // namespace

protocol::TxnOffsetCommitResponse handle_txn_offset_commit(
    BrokerCore& core, const Request& request, const protocol::TxnOffsetCommitRequest& body) {
  const coordinator::TransactionKey key{
      .transactional_id = body.transactional_id,
      .producer = {ProducerId(body.producer_id), ProducerEpoch(body.producer_epoch)}};
  const KnownOffsets known = known_offsets(core, body.topics);
  const coordinator::OffsetCommitReply committed = core.changing([&] {
    coordinator::OffsetCommitReply reply = core.coordinator.txn_offset_commit(
        {.transaction = key,
         .member = {.group_id = body.group_id,
                    .member_id = body.member_id,
                    .instance_id = body.group_instance_id,
                    .generation = GenerationId(body.generation_id)},
         .offsets = known.offsets,
         .api_version = request.header.api_version},
        core.moment(), core.effects);
    if (request.header.api_version >= kFirstVersionOfTransactionsV2) {
      doubt_unknown(core, body, key, known, reply);
    }
    core.settle();
    return reply;
  });
  protocol::TxnOffsetCommitResponse response;
  answer_offsets(body.topics, known, committed, response.topics);
  return response;
}

}  // namespace onceflow::broker
