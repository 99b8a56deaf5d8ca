// SyncGroup: parks a ticket, as JoinGroup. Stateless; on the broker's thread.
#include "broker/handlers/handlers.h"

namespace onceflow::broker {

Disposition handle_sync_group(BrokerCore& core, const Request& request,
                              const protocol::SyncGroupRequest& body, Reply&) {
  coordinator::SyncGroupRequest sync{.member = {.group_id = body.group_id,
                                                .member_id = body.member_id,
                                                .instance_id = body.group_instance_id,
                                                .generation = GenerationId(body.generation_id)},
                                     .protocol_type = body.protocol_type,
                                     .protocol_name = body.protocol_name};
  for (const auto& assignment : body.assignments) {
    sync.assignments.push_back({assignment.member_id, to_buffer(assignment.assignment)});
  }
  core.changing([&] {
    const coordinator::Ticket ticket = core.park(request, body.group_id);
    core.coordinator.groups().sync_group(sync, ticket, core.moment(), core.effects);
    core.settle();
  });
  return Disposition::kLater;
}

void encode_group_reply(const coordinator::SyncGroupReply& group_reply,
                        const ParkedGroupRequest& parked, Reply& reply) {
  const auto null_if_empty = [](const std::string& text) {
    return text.empty() ? std::optional<std::string>() : std::optional<std::string>(text);
  };
  protocol::SyncGroupResponse response;
  response.error_code = group_reply.error;
  response.protocol_type = null_if_empty(group_reply.protocol_type);
  response.protocol_name = null_if_empty(group_reply.protocol_name);
  response.assignment = group_reply.assignment;
  reply.error = group_reply.error;
  encode_reply(response, parked.api_version, parked.correlation_id, reply);
}

}  // namespace onceflow::broker
