// LeaveGroup: one member up to version 2, several from version 3 on. Stateless; on the broker's
// thread.
#include "broker/handlers/handlers.h"

namespace onceflow::broker {

protocol::LeaveGroupResponse handle_leave_group(BrokerCore& core, const Request& request,
                                                const protocol::LeaveGroupRequest& body) {
  const bool has_many = request.header.api_version >= 3;
  std::vector<coordinator::MemberToRemove> leaving;
  if (has_many) {
    for (const auto& member : body.members) {
      leaving.push_back({.member_id = member.member_id, .instance_id = member.group_instance_id});
    }
  } else {
    leaving.push_back({.member_id = body.member_id, .instance_id = std::nullopt});
  }
  const auto errors = core.changing([&] {
    auto left =
        core.coordinator.groups().leave_group(body.group_id, leaving, core.moment(), core.effects);
    core.settle();
    return left;
  });
  protocol::LeaveGroupResponse response;
  if (!has_many) {
    response.error_code = errors.front();
    return response;
  }
  for (std::size_t index = 0; index < body.members.size(); ++index) {
    response.members.push_back({.member_id = body.members[index].member_id,
                                .group_instance_id = body.members[index].group_instance_id,
                                .error_code = errors[index]});
  }
  return response;
}

}  // namespace onceflow::broker
