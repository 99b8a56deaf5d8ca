// CreateTopics. Any replication factor is taken, for there is nothing to replicate to; what the
// answer says is 1. From version 5 on it describes what was made, unless that is very much: then it
// says of each that it is there, as before, and DescribeConfigs tells the rest. Stateless; on the
// broker's thread.
#include <algorithm>

#include "broker/answer_bytes.h"
#include "broker/handlers/config_resources.h"
#include "broker/handlers/handlers.h"

namespace onceflow::broker {
namespace {

using protocol::ErrorCode;
using TopicRequest = protocol::CreateTopicsRequest::Topic;
using TopicResponse = protocol::CreateTopicsResponse::Topic;

struct Wish {
  std::int32_t partition_count = 0;
  log::TopicConfigOverrides overrides;
};

log::TopicAnswer<std::int32_t> partition_count_of(const BrokerCore& core,
                                                  const TopicRequest& topic) {
  if (topic.assignments.empty()) {
    if (topic.replication_factor == 0 || topic.replication_factor < -1) {
      return std::unexpected(log::Refusal{ErrorCode::kInvalidReplicationFactor,
                                          "Replication factor must be larger than 0."});
    }
    return topic.num_partitions == -1 ? core.options.num_partitions : topic.num_partitions;
  }
  if (topic.num_partitions != -1 || topic.replication_factor != -1) {
    return std::unexpected(
        log::Refusal{ErrorCode::kInvalidRequest,
                     "with an assignment, partitions and replication factor must be -1"});
  }
  std::vector<std::int32_t> indexes;
  for (const auto& assignment : topic.assignments) {
    if (assignment.is_repeated) {
      return std::unexpected(
          log::Refusal{ErrorCode::kInvalidReplicaAssignment, std::string(kGivenTwice)});
    }
    if (assignment.broker_ids.empty()) {
      return std::unexpected(log::Refusal{ErrorCode::kInvalidReplicaAssignment,
                                          "a partition is assigned to no broker"});
    }
    indexes.push_back(assignment.partition_index);
  }
  std::ranges::sort(indexes);
  for (std::size_t place = 0; place < indexes.size(); ++place) {
    if (std::cmp_not_equal(indexes[place], place)) {
      return std::unexpected(log::Refusal{ErrorCode::kInvalidReplicaAssignment,
                                          "partitions are not numbered from 0 without a gap"});
    }
  }
  return static_cast<std::int32_t>(indexes.size());
}

log::TopicAnswer<Wish> wish_of(const BrokerCore& core, const TopicRequest& topic) {
  const auto partition_count = partition_count_of(core, topic);
  if (!partition_count) {
    return std::unexpected(partition_count.error());
  }
  Wish wish{.partition_count = *partition_count};
  for (const auto& config : topic.configs) {
    if (auto refused = refuse_unknown_setting(config.name)) {
      return std::unexpected(*std::move(refused));
    }
    if (!config.value) {
      return std::unexpected(
          log::Refusal{ErrorCode::kInvalidConfig, "null value for " + config.name});
    }
    wish.overrides[config.name] = *config.value;
  }
  return wish;
}

void describe(const BrokerCore& core, const Wish& wish, TopicResponse& response) {
  response.num_partitions = wish.partition_count;
  response.replication_factor = 1;
  response.configs.emplace();
  for (const log::TopicConfigEntry& entry :
       log::describe(core.options.log.topic_defaults, wish.overrides)) {
    response.configs->push_back({.name = entry.name,
                                 .value = entry.value(),
                                 .config_source = static_cast<std::int8_t>(entry.source())});
  }
}

void refuse(const log::Refusal& refusal, TopicResponse& response) {
  response.error_code = refusal.code;
  response.error_message = refusal.text;
}

enum class Describe : std::int8_t { kNo, kYes };

void create(BrokerCore& core, const TopicRequest& topic, bool validate_only, Describe is_described,
            TopicResponse& response) {
  const auto wish = wish_of(core, topic);
  if (!wish) {
    refuse(wish.error(), response);
    return;
  }
  const auto config = core.log.check_new_topic(topic.name, wish->partition_count, wish->overrides);
  if (!config) {
    refuse(config.error(), response);
    return;
  }
  if (!validate_only) {
    const auto created = core.changing(
        [&] { return core.log.create_topic(topic.name, wish->partition_count, wish->overrides); });
    if (!created) {
      refuse(created.error(), response);
      return;
    }
    response.topic_id = created->id;
    core.tell_of_settings_without_effect(topic.name, wish->overrides);
  }
  if (is_described == Describe::kYes) {
    describe(core, *wish, response);
  }
}

}  // namespace

protocol::CreateTopicsResponse handle_create_topics(BrokerCore& core, const Request& request,
                                                    const protocol::CreateTopicsRequest& body) {
  const auto is_described =
      describes_created_topics(request, body) ? Describe::kYes : Describe::kNo;
  protocol::CreateTopicsResponse response;
  response.topics.reserve(body.topics.size());
  for (const TopicRequest& topic : body.topics) {
    TopicResponse& answered = response.topics.emplace_back();
    answered.name = topic.name;
    if (topic.is_repeated) {
      refuse({ErrorCode::kInvalidRequest, std::string(kGivenTwice)}, answered);
    } else {
      create(core, topic, body.validate_only, is_described, answered);
    }
  }
  return response;
}

}  // namespace onceflow::broker
