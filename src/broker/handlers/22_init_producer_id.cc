// InitProducerId. Stateless; on the broker's thread.
#include "broker/handlers/handlers.h"

namespace onceflow::broker {

std::optional<protocol::InitProducerIdResponse> handle_init_producer_id(
    BrokerCore& core, const Request& request, const protocol::InitProducerIdRequest& body) {
  const coordinator::InitProducerIdReply given = core.changing([&] {
    const auto reply = core.coordinator.transactions().init_producer_id(
        {.transactional_id = body.transactional_id,
         .transaction_timeout = milliseconds(body.transaction_timeout_ms),
         .expected = {ProducerId(body.producer_id), ProducerEpoch(body.producer_epoch)}},
        core.caller(request), core.effects);
    core.settle();
    return reply;
  });
  if (given.verdict == coordinator::ConnectionVerdict::kClose) {
    return std::nullopt;
  }
  protocol::InitProducerIdResponse response;
  response.error_code = given.error;
  response.producer_id = given.producer.id.value;
  response.producer_epoch = given.producer.epoch.value;
  return response;
}

}  // namespace onceflow::broker
