// AlterConfigs: what is given replaces all that was set on a topic. Stateless; on the broker's
// thread.
#include "broker/handlers/config_resources.h"
#include "broker/handlers/handlers.h"

namespace onceflow::broker {
namespace {

using ResourceRequest = protocol::AlterConfigsRequest::Resource;

std::optional<log::Refusal> alter(BrokerCore& core, const ResourceRequest& resource,
                                  bool validate_only) {
  if (auto refused = refuse_to_alter(core, resource.resource_type, resource.resource_name)) {
    return refused;
  }
  log::TopicConfigOverrides overrides;
  for (const auto& config : resource.configs) {
    if (auto refused = refuse_unknown_setting(config.name)) {
      return refused;
    }
    if (!config.value) {
      return log::Refusal{protocol::ErrorCode::kInvalidConfig,
                          "Null value not supported for : " + config.name};
    }
    overrides[config.name] = *config.value;
  }
  return alter_topic(core, resource.resource_name, overrides, validate_only);
}

}  // namespace

protocol::AlterConfigsResponse handle_alter_configs(BrokerCore& core, const Request&,
                                                    const protocol::AlterConfigsRequest& body) {
  return alter_each<protocol::AlterConfigsResponse>(core, body, alter);
}

}  // namespace onceflow::broker
