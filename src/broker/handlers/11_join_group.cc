// JoinGroup: parks a ticket that the group coordinator answers, often at once. Stateless; on the
// broker's thread.
#include <fmt/format.h>

#include "broker/handlers/handlers.h"

namespace onceflow::broker {
namespace {

std::string to_text(const TopicId& uuid) {
  std::string text;
  for (std::size_t index = 0; index < uuid.bytes.size(); ++index) {
    if (index == 4 || index == 6 || index == 8 || index == 10) {
      text += '-';
    }
    fmt::format_to(std::back_inserter(text), "{:02x}", uuid.bytes[index]);
  }
  return text;
}

}  // namespace

Disposition handle_join_group(BrokerCore& core, const Request& request,
                              const protocol::JoinGroupRequest& body, Reply& reply) {
  coordinator::JoinGroupRequest join{
      .group_id = body.group_id,
      .member_id = body.member_id,
      .instance_id = body.group_instance_id,
      .client_id = request.header.client_id.value_or(""),
      .client_host = std::string(request.client_host),
      .protocol_type = body.protocol_type,
      .session_timeout = milliseconds(body.session_timeout_ms),
      .rebalance_timeout = milliseconds(
          request.header.api_version == 0 ? body.session_timeout_ms : body.rebalance_timeout_ms),
      .api_version = request.header.api_version,
      .random_uuid = to_text(core.environment.random.uuid()),
      .connection = request.slot.connection};
  for (const auto& protocol : body.protocols) {
    if (protocol.is_repeated) {
      encode_group_reply(coordinator::JoinGroupReply{.error = protocol::ErrorCode::kInvalidRequest,
                                                     .member_id = body.member_id},
                         ParkedGroupRequest{.api_version = request.header.api_version,
                                            .correlation_id = request.header.correlation_id},
                         reply);
      return Disposition::kAnswer;
    }
    join.protocols.push_back({protocol.name, to_buffer(protocol.metadata)});
  }
  core.changing([&] {
    const coordinator::Ticket ticket = core.park(request, body.group_id);
    core.coordinator.groups().join_group(std::move(join), ticket, core.moment(), core.effects);
    core.settle();
  });
  return Disposition::kLater;
}

void encode_group_reply(const coordinator::JoinGroupReply& group_reply,
                        const ParkedGroupRequest& parked, Reply& reply) {
  const auto null_if_empty = [&](const std::string& text) {
    const bool is_null = text.empty() && parked.api_version >= 7;
    return is_null ? std::optional<std::string>() : std::optional<std::string>(text);
  };
  protocol::JoinGroupResponse response;
  response.error_code = group_reply.error;
  response.generation_id = group_reply.generation.value;
  response.protocol_type = null_if_empty(group_reply.protocol_type);
  response.protocol_name = null_if_empty(group_reply.protocol_name);
  response.leader = group_reply.leader;
  response.skip_assignment = group_reply.skip_assignment;
  response.member_id = group_reply.member_id;
  for (const auto& member : group_reply.members) {
    response.members.push_back({.member_id = member.member_id,
                                .group_instance_id = member.instance_id,
                                .metadata = member.metadata});
  }
  reply.error = group_reply.error;
  encode_reply(response, parked.api_version, parked.correlation_id, reply);
}

}  // namespace onceflow::broker
