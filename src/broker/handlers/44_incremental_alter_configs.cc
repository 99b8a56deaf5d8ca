// IncrementalAlterConfigs: single settings of a topic are set, taken back, or, for lists, added to
// and subtracted from. All of a resource, or nothing. Stateless; on the broker's thread.
#include <algorithm>
#include <set>
#include <vector>

#include "broker/handlers/config_resources.h"
#include "broker/handlers/handlers.h"

namespace onceflow::broker {
namespace {

using protocol::ErrorCode;
using ResourceRequest = protocol::IncrementalAlterConfigsRequest::Resource;
using ConfigRequest = protocol::IncrementalAlterConfigsRequest::Config;

enum Operation : std::int8_t { kSet = 0, kDelete = 1, kAppend = 2, kSubtract = 3 };

std::vector<std::string> words_of(std::string_view list) {
  std::vector<std::string> words;
  for (std::size_t start = 0; start < list.size();) {
    const std::size_t comma = std::min(list.find(',', start), list.size());
    words.emplace_back(list.substr(start, comma - start));
    start = comma + 1;
  }
  return words;
}

std::string list_of(const std::vector<std::string>& words) {
  std::string list;
  for (const std::string& word : words) {
    list += (list.empty() ? "" : ",") + word;
  }
  return list;
}

std::string in_force(const BrokerCore& core, const log::TopicConfigOverrides& overrides,
                     const std::string& key) {
  for (const log::TopicConfigEntry& entry :
       log::describe(core.options.log.topic_defaults, overrides)) {
    if (entry.name == key) {
      return entry.value();
    }
  }
  return {};
}

std::string changed_list(std::string_view before, const std::string& change,
                         std::int8_t operation) {
  std::vector<std::string> words = words_of(before);
  const std::vector<std::string> changes = words_of(change);
  if (operation == kSubtract) {
    const std::set<std::string> taken(changes.begin(), changes.end());
    std::erase_if(words, [&](const std::string& word) { return taken.contains(word); });
    return list_of(words);
  }
  std::set<std::string> known(words.begin(), words.end());
  for (const std::string& word : changes) {
    if (known.insert(word).second) {
      words.push_back(word);
    }
  }
  return list_of(words);
}

std::optional<log::Refusal> apply(const BrokerCore& core, const ConfigRequest& config,
                                  log::TopicConfigOverrides& overrides) {
  if (auto refused = refuse_unknown_setting(config.name)) {
    return refused;
  }
  if (config.config_operation == kDelete) {
    overrides.erase(config.name);
    return std::nullopt;
  }
  if (!config.value) {
    return log::Refusal{ErrorCode::kInvalidConfig, "Null value not supported for : " + config.name};
  }
  switch (config.config_operation) {
    case kSet:
      overrides[config.name] = *config.value;
      return std::nullopt;
    case kAppend:
    case kSubtract:
      if (!log::is_list(config.name)) {
        return log::Refusal{ErrorCode::kInvalidConfig,
                            "Config value append is not allowed for config key: " + config.name};
      }
      overrides[config.name] = changed_list(in_force(core, overrides, config.name), *config.value,
                                            config.config_operation);
      return std::nullopt;
    default:
      return log::Refusal{ErrorCode::kInvalidRequest,
                          "unknown operation on configuration key " + config.name};
  }
}

std::optional<log::Refusal> alter(BrokerCore& core, const ResourceRequest& resource,
                                  bool validate_only) {
  if (auto refused = refuse_to_alter(core, resource.resource_type, resource.resource_name)) {
    return refused;
  }
  log::TopicConfigOverrides overrides = core.log.topics().find(resource.resource_name)->overrides;
  for (const ConfigRequest& config : resource.configs) {
    if (config.is_repeated) {
      return log::Refusal{ErrorCode::kInvalidRequest,
                          "configuration key " + config.name + ": " + std::string(kGivenTwice)};
    }
    if (auto refused = apply(core, config, overrides)) {
      return refused;
    }
  }
  return alter_topic(core, resource.resource_name, overrides, validate_only);
}

}  // namespace

protocol::IncrementalAlterConfigsResponse handle_incremental_alter_configs(
    BrokerCore& core, const Request&, const protocol::IncrementalAlterConfigsRequest& body) {
  return alter_each<protocol::IncrementalAlterConfigsResponse>(core, body, alter);
}

}  // namespace onceflow::broker
