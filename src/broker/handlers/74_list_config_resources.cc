// ListConfigResources: what DescribeConfigs can be asked about. Version 0 knows client metrics
// only, of which there are none. Stateless; on the broker's thread.
#include <algorithm>

#include "broker/handlers/config_resources.h"
#include "broker/handlers/handlers.h"

namespace onceflow::broker {

protocol::ListConfigResourcesResponse handle_list_config_resources(
    BrokerCore& core, const Request& request, const protocol::ListConfigResourcesRequest& body) {
  protocol::ListConfigResourcesResponse response;
  const auto is_asked_for = [&](std::int8_t type) {
    return request.header.api_version > 0 &&
           (body.resource_types.empty() ||
            std::ranges::find(body.resource_types, type) != body.resource_types.end());
  };
  if (is_asked_for(kTopicResource)) {
    response.config_resources.reserve(core.log.topics().by_name().size() + 1);
    for (const auto& [name, topic] : core.log.topics().by_name()) {
      response.config_resources.push_back({.resource_name = name, .resource_type = kTopicResource});
    }
  }
  if (is_asked_for(kBrokerResource)) {
    response.config_resources.push_back(
        {.resource_name = std::to_string(core.options.node_id), .resource_type = kBrokerResource});
  }
  return response;
}

}  // namespace onceflow::broker
