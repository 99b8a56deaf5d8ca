// DescribeConfigs: of topics, and of this broker what clients ask for. Stateless; on the broker's
// thread.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "broker/handlers/config_resources.h"
#include "broker/handlers/handlers.h"

namespace onceflow::broker {
namespace {

using protocol::ErrorCode;
using ResourceRequest = protocol::DescribeConfigsRequest::Resource;
using ResourceResponse = protocol::DescribeConfigsResponse::Resource;

using Setting = log::TopicConfigEntry::Setting;
using log::ConfigSource;
using log::ConfigType;

ConfigType type_of(std::string_view value) {
  if (value == "true" || value == "false") {
    return ConfigType::kBoolean;
  }
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  return error == std::errc() && end == value.data() + value.size() ? ConfigType::kLong
                                                                    : ConfigType::kString;
}

class Answer {
 public:
  Answer(const ResourceRequest& request, const protocol::DescribeConfigsRequest& body,
         ResourceResponse& response)
      : request_(request), body_(body), response_(response) {}

  void add(const log::TopicConfigEntry& entry) {
    const auto& keys = request_.configuration_keys;
    if (keys && !keys->empty() && std::ranges::find(*keys, entry.name) == keys->end()) {
      return;
    }
    auto& config = response_.configs.emplace_back();
    config.name = entry.name;
    config.value = entry.value();
    config.config_source = static_cast<std::int8_t>(entry.source());
    config.config_type = static_cast<std::int8_t>(entry.type);
    config.read_only = request_.resource_type == kBrokerResource;
    if (body_.include_documentation) {
      config.documentation = !entry.has_effect ? "Accepted and kept; it has no effect here."
                             : entry.name == "cleanup.policy"
                                 ? "As in Apache Kafka, but nothing is compacted here."
                                 : "As in Apache Kafka.";
    }
    if (body_.include_synonyms) {
      for (const Setting& setting : entry.settings) {
        config.synonyms.push_back({.name = setting.name,
                                   .value = setting.value,
                                   .source = static_cast<std::int8_t>(setting.source)});
      }
    }
  }

  /// Of the broker.
  void add(const std::string& name, const std::string& value) {
    add({.name = name,
         .type = type_of(value),
         .settings = {Setting{name, value, ConfigSource::kStaticBroker}}});
  }

 private:
  const ResourceRequest& request_;
  const protocol::DescribeConfigsRequest& body_;
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
  for (const log::TopicConfigEntry& entry :
       log::describe(core.options.log.topic_defaults, topic->overrides)) {
    answer.add(entry);
  }
}

// What clients may put into the log.
void describe_bounds(const BrokerOptions& options, Answer answer) {
  const auto number = [&](const char* key, std::size_t value) {
    answer.add(key, std::to_string(value));
  };
  const coordinator::GroupOptions& groups = options.coordinator.groups;
  const coordinator::TransactionOptions& transactions = options.coordinator.transactions;
  number("group.id.max.bytes", groups.id_bytes_max);
  number("group.max.bytes", groups.group_bytes_max);
  number("group.max.count", groups.group_count_max);
  number("group.max.size", groups.group_size_max);
  number("group.member.max.bytes", groups.member_bytes_max);
  number("group.members.max.bytes", groups.membership_bytes_max);
  number("group.offsets.max.bytes", groups.offset_bytes_max);
  number("partitions.max.count", options.log.partitions_max);
  number("producer.states.max.count", options.log.producer_states_max);
  number("queued.max.request.bytes", options.server.memory_bytes_max);
  number("segment.bytes.min",
         static_cast<std::size_t>(options.log.config_bounds.segment_bytes_min));
  number("topic.config.value.max.bytes", options.log.config_bounds.value_bytes_max);
  number("topic.configs.max.bytes", options.log.config_bytes_max);
  number("transaction.max.bytes", transactions.transaction_bytes_max);
  number("transactional.id.max.bytes", transactions.transactional_id_bytes_max);
  number("transactional.id.max.count", transactions.transactional_id_count_max);
  number("transactions.max.bytes", transactions.transactions_bytes_max);
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
    answer.add(key, std::to_string(value));
  };
  const auto word = [&](const char* key, const std::string& value) { answer.add(key, value); };
  const log::TopicConfig& topic = options.log.topic_defaults;
  word("advertised.listeners", "PLAINTEXT://" + io::to_string(advertised));
  word("auto.create.topics.enable", options.auto_create_topics ? "true" : "false");
  number("broker.id", options.node_id);
  word("compression.type", "producer");
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
  word("log.dir.mode", fmt::format("{:04o}", options.log.directory_mode));
  number("log.free.bytes.min", static_cast<std::int64_t>(options.log.free_bytes_min));
  number("log.message.timestamp.after.max.ms", topic.timestamp_after_max_ms);
  number("log.message.timestamp.before.max.ms", topic.timestamp_before_max_ms);
  word("log.message.timestamp.type", topic.message_timestamp_type == log::TimestampType::kCreateTime
                                         ? "CreateTime"
                                         : "LogAppendTime");
  number("log.retention.check.interval.ms", to_ms(options.log.retention_check_interval));
  describe_bounds(options, answer);
  number("offset.metadata.max.bytes",
         static_cast<std::int64_t>(options.coordinator.groups.offset_metadata_bytes_max));
  number("producer.id.expiration.ms", to_ms(options.log.producer_id_expiration));
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
    const Answer answer(resource, body, answered);
    if (resource.is_repeated) {
      answered.error_code = ErrorCode::kInvalidRequest;
      answered.error_message = kGivenTwice;
    } else if (resource.resource_type == kTopicResource) {
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
