// DescribeConfigs: of topics, and of this broker what clients ask for. Stateless; on the broker's
// thread.
#include <algorithm>
#include <charconv>

#include "broker/handlers/handlers.h"

namespace onceflow::broker {
namespace {

using protocol::ErrorCode;
using ResourceRequest = protocol::DescribeConfigsRequest::Resource;
using ResourceResponse = protocol::DescribeConfigsResponse::Resource;

constexpr std::int8_t kTopicResource = 2;
constexpr std::int8_t kBrokerResource = 4;

constexpr std::int8_t kTopicConfigSource = 1;
constexpr std::int8_t kStaticBrokerSource = 4;
constexpr std::int8_t kDefaultSource = 5;

constexpr std::int8_t kBooleanType = 1;
constexpr std::int8_t kStringType = 2;
constexpr std::int8_t kLongType = 5;

std::int8_t type_of(std::string_view value) {
  if (value == "true" || value == "false") {
    return kBooleanType;
  }
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  return error == std::errc() && end == value.data() + value.size() ? kLongType : kStringType;
}

class Answer {
 public:
  Answer(const ResourceRequest& request, bool include_synonyms, ResourceResponse& response)
      : request_(request), include_synonyms_(include_synonyms), response_(response) {}

  void add(const std::string& name, const std::string& value, std::int8_t source) {
    const auto& keys = request_.configuration_keys;
    if (keys && !keys->empty() && std::ranges::find(*keys, name) == keys->end()) {
      return;
    }
    auto& config = response_.configs.emplace_back();
    config.name = name;
    config.value = value;
    config.config_source = source;
    config.config_type = type_of(value);
    config.read_only = source == kStaticBrokerSource;
    if (include_synonyms_) {
      config.synonyms.push_back({.name = name, .value = value, .source = source});
    }
  }

 private:
  const ResourceRequest& request_;
  const bool include_synonyms_;
  ResourceResponse& response_;
};

void describe_topic(const BrokerCore& core, const std::string& name, Answer answer,
                    ResourceResponse& response) {
  const log::Topic* const topic = core.log.topics().find(name);
  if (topic == nullptr) {
    response.error_code = ErrorCode::kUnknownTopicOrPartition;
    response.error_message = "there is no such topic";
    return;
  }
  for (const log::TopicConfigEntry& entry : log::describe(topic->config, topic->overrides)) {
    answer.add(entry.name, entry.value, entry.is_default ? kDefaultSource : kTopicConfigSource);
  }
}

void describe_broker(const BrokerCore& core, const std::string& name, Answer answer,
                     ResourceResponse& response) {
  const BrokerOptions& options = core.options;
  if (!name.empty() && name != std::to_string(options.node_id)) {
    response.error_code = ErrorCode::kInvalidRequest;
    response.error_message =
        "this broker is " + std::to_string(options.node_id) + ", and there is no other";
    return;
  }
  const io::Endpoint advertised = core.advertised();
  const auto number = [&](const char* key, std::int64_t value) {
    answer.add(key, std::to_string(value), kStaticBrokerSource);
  };
  const auto word = [&](const char* key, const std::string& value) {
    answer.add(key, value, kStaticBrokerSource);
  };
  const log::TopicConfig& topic = options.log.topic_defaults;
  word("advertised.listeners", "PLAINTEXT://" + io::to_string(advertised));
  word("auto.create.topics.enable", options.auto_create_topics ? "true" : "false");
  number("broker.id", options.node_id);
  number("connections.max.idle.ms", to_ms(options.server.idle_max));
  number("default.replication.factor", 1);
  word("delete.topic.enable", "true");
  number("fetch.max.bytes", options.fetch_bytes_max);
  number("group.initial.rebalance.delay.ms",
         to_ms(options.coordinator.groups.initial_rebalance_delay));
  number("group.max.session.timeout.ms", to_ms(options.coordinator.groups.session_timeout_max));
  number("group.min.session.timeout.ms", to_ms(options.coordinator.groups.session_timeout_min));
  word("listeners", "PLAINTEXT://" + io::to_string(core.server.local()));
  word("log.cleanup.policy", topic.cleanup_compact ? "compact" : "delete");
  word("log.dirs", options.log.directory);
  word("log.flush", options.log.flush == log::FlushMode::kDurable ? "sync" : "os");
  number("log.retention.bytes", topic.retention_bytes);
  number("log.retention.ms", topic.retention_ms);
  number("log.segment.bytes", topic.segment_bytes);
  number("max.connections", static_cast<std::int64_t>(options.server.connection_count_max));
  number("message.max.bytes", topic.max_message_bytes);
  number("min.insync.replicas", 1);
  number("node.id", options.node_id);
  number("num.partitions", options.num_partitions);
  number("offsets.topic.replication.factor", 1);
  number("socket.request.max.bytes", static_cast<std::int64_t>(options.server.request_bytes_max));
  number("transaction.max.timeout.ms", to_ms(options.coordinator.transactions.timeout_max));
  number("transaction.state.log.replication.factor", 1);
}

}  // namespace

protocol::DescribeConfigsResponse handle_describe_configs(
    BrokerCore& core, const Request&, const protocol::DescribeConfigsRequest& body) {
  protocol::DescribeConfigsResponse response;
  for (const ResourceRequest& resource : body.resources) {
    ResourceResponse& answered = response.results.emplace_back();
    answered.resource_type = resource.resource_type;
    answered.resource_name = resource.resource_name;
    const Answer answer(resource, body.include_synonyms, answered);
    if (resource.resource_type == kTopicResource) {
      describe_topic(core, resource.resource_name, answer, answered);
    } else if (resource.resource_type == kBrokerResource) {
      describe_broker(core, resource.resource_name, answer, answered);
    } else {
      answered.error_code = ErrorCode::kInvalidRequest;
      answered.error_message = "only topics (2) and brokers (4) have a configuration here";
    }
  }
  return response;
}

}  // namespace onceflow::broker
