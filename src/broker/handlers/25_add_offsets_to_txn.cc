// AddOffsetsToTxn. Stateless; on the broker's thread.
#include "broker/handlers/handlers.h"

namespace onceflow::broker {

std::optional<protocol::AddOffsetsToTxnResponse> handle_add_offsets_to_txn(
    BrokerCore& core, const Request& request, const protocol::AddOffsetsToTxnRequest& body) {
  const coordinator::TransactionReply added = core.changing([&] {
    const auto reply = core.coordinator.transactions().add_offsets(
        {.transactional_id = body.transactional_id,
         .producer = {ProducerId(body.producer_id), ProducerEpoch(body.producer_epoch)}},
        body.group_id, core.caller(request), core.effects);
    core.settle();
    return reply;
  });
  if (added.verdict == coordinator::ConnectionVerdict::kClose) {
    return std::nullopt;
  }
  protocol::AddOffsetsToTxnResponse response;
  response.error_code = added.error;
  return response;
}

}  // namespace onceflow::broker
