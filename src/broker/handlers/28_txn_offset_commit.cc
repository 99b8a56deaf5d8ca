// TxnOffsetCommit: offsets that become the group's when the transaction commits. Stateless; on the
// broker's thread.
#include "broker/handlers/handlers.h"
#include "broker/handlers/offsets_to_commit.h"

namespace onceflow::broker {
namespace {

constexpr std::int16_t kFirstVersionOfTransactionsV2 = 5;

}  // namespace

protocol::TxnOffsetCommitResponse handle_txn_offset_commit(
    BrokerCore& core, const Request& request, const protocol::TxnOffsetCommitRequest& body) {
  const ProducerIdentity producer{ProducerId(body.producer_id), ProducerEpoch(body.producer_epoch)};
  const KnownOffsets known = known_offsets(core, body.topics);
  const coordinator::OffsetCommitReply committed = core.coordinator.txn_offset_commit(
      {.transaction = {.transactional_id = body.transactional_id, .producer = producer},
       .member = {.group_id = body.group_id,
                  .member_id = body.member_id,
                  .instance_id = body.group_instance_id,
                  .generation = GenerationId(body.generation_id)},
       .offsets = known.offsets,
       .api_version = request.header.api_version},
      core.moment(), core.effects);
  if (!known.all_known() && request.header.api_version >= kFirstVersionOfTransactionsV2) {
    // The commit may be on its way behind the refused offsets (design D2a).
    core.coordinator.transactions().mark_must_abort(producer, core.moment(), core.effects);
  }
  core.settle();
  protocol::TxnOffsetCommitResponse response;
  answer_offsets(body.topics, known, committed, response.topics);
  return response;
}

}  // namespace onceflow::broker
