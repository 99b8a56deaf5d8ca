// EndTxn: decision, markers and group offsets are one journal entry; the answer leaves when it is
// durable, and there is no second phase (design D2a). Stateless; on the broker's thread.
#include "broker/handlers/handlers.h"

namespace onceflow::broker {

Disposition handle_end_txn(BrokerCore& core, const Request& request,
                           const protocol::EndTxnRequest& body, Reply& reply) {
  const coordinator::EndTxnReply ended = core.changing([&] {
    const auto reply = core.coordinator.transactions().end_txn(
        {.transactional_id = body.transactional_id,
         .producer = {ProducerId(body.producer_id), ProducerEpoch(body.producer_epoch)}},
        body.committed ? coordinator::TransactionResult::kCommit
                       : coordinator::TransactionResult::kAbort,
        core.caller(request), core.effects);
    core.settle();
    return reply;
  });
  if (ended.verdict == coordinator::ConnectionVerdict::kClose) {
    return Disposition::kClose;
  }
  protocol::EndTxnResponse response;
  response.error_code = ended.error;
  response.producer_id = ended.producer.id.value;
  response.producer_epoch = ended.producer.epoch.value;
  reply.error = ended.error;
  reply.latency = &core.statistics.commit_latency;
  encode_reply(response, request.header.api_version, request.header.correlation_id, reply);
  return Disposition::kAnswer;
}

}  // namespace onceflow::broker
