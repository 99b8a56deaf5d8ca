// What has a configuration, by Kafka's numbers; and how the two APIs that change one share it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "broker/core.h"
#include "broker/handlers/handlers.h"
#include "log/log.h"

namespace onceflow::broker {

inline constexpr std::int8_t kTopicResource = 2;
inline constexpr std::int8_t kBrokerResource = 4;

/// Nullopt if a resource of this type and name may be changed here, and is there.
inline std::optional<log::Refusal> refuse_to_alter(const BrokerCore& core, std::int8_t type,
                                                   const std::string& name) {
  if (type == kBrokerResource) {
    return log::Refusal{protocol::ErrorCode::kInvalidRequest,
                        "The broker's settings are read when it starts: change server.properties "
                        "and start it again."};
  }
  if (type != kTopicResource) {
    return log::Refusal{protocol::ErrorCode::kInvalidRequest,
                        "Only topics have a configuration that can be changed here."};
  }
  if (core.log.topics().find(name) == nullptr) {
    return log::Refusal{protocol::ErrorCode::kUnknownTopicOrPartition,
                        "Topic '" + name + "' does not exist."};
  }
  return std::nullopt;
}

/// Nullopt if there is such a setting: so that a thousand names that nobody knows are not kept
/// until the first of them is found wrong.
inline std::optional<log::Refusal> refuse_unknown_setting(const std::string& name) {
  return log::is_topic_config(name)
             ? std::nullopt
             : std::optional(log::Refusal{protocol::ErrorCode::kInvalidConfig,
                                          "Unknown topic config name: " + name});
}

/// Puts `overrides` in the place of all that was set on the topic, or only checks them. What
/// retention takes by the new values goes at once.
inline std::optional<log::Refusal> alter_topic(BrokerCore& core, const std::string& name,
                                               const log::TopicConfigOverrides& overrides,
                                               bool validate_only) {
  if (validate_only) {
    const auto checked = core.log.check_topic_config(name, overrides);
    return checked ? std::nullopt : std::optional(checked.error());
  }
  const auto changed = core.changing([&] {
    auto set = core.log.set_topic_config(name, overrides);
    if (set) {
      core.log.apply_retention(name);
    }
    return set;
  });
  if (!changed) {
    return changed.error();
  }
  core.tell_of_settings_without_effect(name, overrides);
  return std::nullopt;
}

/// `alter` changes one resource of the request, or says why not; each has its answer.
template <typename Response, typename Request, typename Alter>
Response alter_each(BrokerCore& core, const Request& body, const Alter& alter) {
  Response response;
  response.responses.reserve(body.resources.size());
  for (const auto& resource : body.resources) {
    auto& answered = response.responses.emplace_back();
    answered.resource_type = resource.resource_type;
    answered.resource_name = resource.resource_name;
    const std::optional<log::Refusal> refused =
        resource.is_repeated
            ? log::Refusal{protocol::ErrorCode::kInvalidRequest, std::string(kGivenTwice)}
            : alter(core, resource, body.validate_only);
    if (refused) {
      answered.error_code = refused->code;
      answered.error_message = refused->text;
    }
  }
  return response;
}

}  // namespace onceflow::broker
