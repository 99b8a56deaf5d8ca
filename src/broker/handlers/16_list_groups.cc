// ListGroups, filtered by state and type. Stateless; on the broker's thread.
#include <algorithm>
#include <cctype>

#include "broker/handlers/handlers.h"

namespace onceflow::broker {
namespace {

constexpr std::string_view kClassic = "classic";

bool same_word(std::string_view left, std::string_view right) {
  return std::ranges::equal(left, right, [](unsigned char a, unsigned char b) {
    return std::tolower(a) == std::tolower(b);
  });
}

bool passes(const std::vector<std::string>& filter, std::string_view word) {
  return filter.empty() ||
         std::ranges::any_of(filter, [&](const auto& wanted) { return same_word(wanted, word); });
}

}  // namespace

protocol::ListGroupsResponse handle_list_groups(BrokerCore& core, const Request&,
                                                const protocol::ListGroupsRequest& body) {
  protocol::ListGroupsResponse response;
  if (!passes(body.types_filter, kClassic)) {
    return response;
  }
  for (const coordinator::GroupDescription& group : core.coordinator.groups().list()) {
    if (passes(body.states_filter, group.state)) {
      response.groups.push_back({.group_id = group.group_id,
                                 .protocol_type = group.protocol_type,
                                 .group_state = group.state,
                                 .group_type = std::string(kClassic)});
    }
  }
  return response;
}

}  // namespace onceflow::broker
