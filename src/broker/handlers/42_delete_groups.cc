// DeleteGroups. Stateless; on the broker's thread.
#include "broker/handlers/handlers.h"

namespace onceflow::broker {

protocol::DeleteGroupsResponse handle_delete_groups(BrokerCore& core, const Request&,
                                                    const protocol::DeleteGroupsRequest& body) {
  protocol::DeleteGroupsResponse response;
  for (const std::string& group_id : body.groups_names) {
    auto& answered = response.results.emplace_back();
    answered.group_id = group_id;
    core.changing([&] {
      answered.error_code = core.coordinator.delete_group(group_id, core.effects);
      core.settle();
    });
  }
  return response;
}

}  // namespace onceflow::broker
