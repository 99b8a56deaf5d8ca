// Heartbeat. Stateless; on the broker's thread.
#include "broker/handlers/handlers.h"

namespace onceflow::broker {

protocol::HeartbeatResponse handle_heartbeat(BrokerCore& core, const Request&,
                                             const protocol::HeartbeatRequest& body) {
  protocol::HeartbeatResponse response;
  core.changing([&] {
    response.error_code =
        core.coordinator.groups().heartbeat({.group_id = body.group_id,
                                             .member_id = body.member_id,
                                             .instance_id = body.group_instance_id,
                                             .generation = GenerationId(body.generation_id)},
                                            core.moment(), core.effects);
    core.settle();
  });
  return response;
}

}  // namespace onceflow::broker
