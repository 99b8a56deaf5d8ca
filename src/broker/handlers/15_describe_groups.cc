// DescribeGroups. A group that is not known is "Dead", without an error, as before version 6.
// Stateless; on the broker's thread.
#include "broker/handlers/handlers.h"
#include "broker/handlers/no_authorizer.h"

namespace onceflow::broker {

Disposition handle_describe_groups(BrokerCore& core, const Request& request,
                                   const protocol::DescribeGroupsRequest& body, Reply& reply) {
  // The response has views into the descriptions.
  std::vector<coordinator::GroupDescription> descriptions;
  descriptions.reserve(body.groups.size());
  protocol::DescribeGroupsResponse response;
  for (const std::string& group_id : body.groups) {
    const auto& description =
        descriptions.emplace_back(core.coordinator.groups().describe(group_id));
    auto& group = response.groups.emplace_back();
    group.group_id = group_id;
    group.group_state = description.state;
    group.protocol_type = description.protocol_type;
    group.protocol_data = description.protocol_name;
    if (body.include_authorized_operations) {
      group.authorized_operations = kGroupOperations;
    }
    for (const auto& member : description.members) {
      group.members.push_back({.member_id = member.member_id,
                               .group_instance_id = member.instance_id,
                               .client_id = member.client_id,
                               .client_host = member.client_host,
                               .member_metadata = member.metadata,
                               .member_assignment = member.assignment});
    }
  }
  encode_reply(response, request.header.api_version, request.header.correlation_id, reply);
  return Disposition::kAnswer;
}

}  // namespace onceflow::broker
