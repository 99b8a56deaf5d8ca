// ListGroups, filtered by state and type. Stateless; on the broker's thread.
#include <algorithm>
#include <cctype>
#include <set>

#include "broker/handlers/handlers.h"

namespace onceflow::broker {
namespace {

constexpr std::string_view kClassic = "classic";

std::string lower_case(std::string_view word) {
  std::string lower(word);
  std::ranges::transform(lower, lower.begin(), [](unsigned char letter) {
    return static_cast<char>(std::tolower(letter));
  });
  return lower;
}

/// Words that are asked for, in any case of letters; none: all.
class Filter {
 public:
  explicit Filter(const std::vector<std::string>& words) {
    for (const std::string& word : words) {
      words_.insert(lower_case(word));
    }
  }
  bool passes(std::string_view word) const {
    return words_.empty() || words_.contains(lower_case(word));
  }

 private:
  std::set<std::string> words_;
};

}  // namespace

protocol::ListGroupsResponse handle_list_groups(BrokerCore& core, const Request&,
                                                const protocol::ListGroupsRequest& body) {
  protocol::ListGroupsResponse response;
  if (!Filter(body.types_filter).passes(kClassic)) {
    return response;
  }
  const Filter states(body.states_filter);
  for (const coordinator::GroupDescription& group : core.coordinator.groups().list()) {
    if (states.passes(group.state)) {
      response.groups.push_back({.group_id = group.group_id,
                                 .protocol_type = group.protocol_type,
                                 .group_state = group.state,
                                 .group_type = std::string(kClassic)});
    }
  }
  return response;
}

}  // namespace onceflow::broker
