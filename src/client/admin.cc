// Admin: questions and orders, asked again until the deadline.
#include "client/admin.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "client/ask_coordinator.h"
#include "client/broker_error.h"
#include "client/committed_offsets.h"
#include "client/range_assignor.h"
#include "protocol/messages/02_list_offsets.h"
#include "protocol/messages/15_describe_groups.h"
#include "protocol/messages/19_create_topics.h"
#include "protocol/messages/20_delete_topics.h"
#include "protocol/messages/32_describe_configs.h"
#include "protocol/messages/42_delete_groups.h"

namespace onceflow::client {

namespace {

std::int32_t timeout_ms(const Cluster& cluster) {
  return static_cast<std::int32_t>(to_ms(cluster.options().request_timeout));
}

Error with_words(Error error, const std::optional<std::string>& words) {
  if (words && !words->empty()) {
    error.text += " (" + *words + ")";
  }
  return error;
}

/// What a step that failed means for its loop: nothing (it pauses and goes on), or the end.
Task<Status> pause_or_give_up(std::shared_ptr<Cluster> cluster, Error error, Duration duration,
                              MonotonicTime deadline) {
  if (error.recovery != Recovery::kRetriable) {
    co_return std::unexpected(std::move(error));
  }
  const Status paused = co_await cluster->pause(duration, deadline);
  if (!paused && paused.error().code != ErrorCode::kCancelled) {
    co_return std::unexpected(timed_out_error(error.text));
  }
  co_return paused;
}

std::unexpected<Error> no_answer(const std::string& what) {
  return fail(ErrorCode::kCorrupt, what + ": no answer for the group");
}

CoordinatorAnswer<GroupDescription> describe(const Reply<protocol::DescribeGroupsResponse>& reply) {
  if (reply->groups.size() != 1) {
    return {.result = no_answer("DescribeGroups")};
  }
  const auto& group = reply->groups.front();
  if (group.error_code != protocol::ErrorCode::kNone) {
    return {group.error_code, std::unexpected(broker_error(
                                  group.error_code, "DescribeGroups of '" + group.group_id + "'"))};
  }
  GroupDescription description{
      group.group_id, group.group_state, group.protocol_type, group.protocol_data, {}};
  description.members.reserve(group.members.size());
  for (const auto& member : group.members) {
    auto assignment = decode_assignment(member.member_assignment);
    description.members.push_back(
        {member.member_id, member.group_instance_id.value_or(""), member.client_id,
         member.client_host, assignment ? std::move(*assignment) : std::vector<TopicPartition>{},
         decode_note(member.member_metadata)});
  }
  return {.result = std::move(description)};
}

}  // namespace

Admin::Admin(std::shared_ptr<Cluster> cluster)
    : cluster_(std::move(cluster)), channel_(cluster_->new_channel()) {}

Task<Result<ConnectionPointer>> Admin::controller_connection(MonotonicTime deadline) {
  const NodeId controller = cluster_->controller();
  if (controller == kNoNode) {
    co_return co_await cluster_->any_connection(channel_, deadline);
  }
  co_return co_await cluster_->connection(channel_, controller, deadline);
}

std::vector<std::pair<std::string, std::string>> kept_for_ever(std::string cleanup_policy) {
  return {{"retention.ms", "-1"},
          {"retention.bytes", "-1"},
          {"cleanup.policy", std::move(cleanup_policy)}};
}

Task<Status> Admin::create_topic(NewTopic topic, MonotonicTime deadline) {
  const auto cluster = cluster_;
  Backoff backoff(cluster->options(), cluster->environment().random);
  bool may_be_ours = false;
  while (true) {
    const auto connection = co_await controller_connection(deadline);
    CO_RETURN_IF_ERROR(connection);
    protocol::CreateTopicsRequest request;
    auto& wanted = request.topics.emplace_back();
    wanted.name = topic.name;
    wanted.num_partitions = topic.partition_count;
    wanted.replication_factor = topic.replication_factor;
    for (const auto& [key, value] : topic.configs) {
      wanted.configs.push_back({key, value});
    }
    request.timeout_ms = timeout_ms(*cluster);
    const auto reply =
        co_await (*connection)->send(std::move(request), cluster->request_deadline(deadline));
    Error error{ErrorCode::kCorrupt, "CreateTopics: no answer for the topic", Recovery::kFatal};
    if (!reply) {
      error = reply.error();
      may_be_ours = true;
    } else if (reply->body.topics.size() == 1) {
      const auto& result = reply->body.topics.front();
      // Seen after an attempt whose answer was lost, this is that attempt.
      if (result.error_code == protocol::ErrorCode::kNone ||
          (may_be_ours && result.error_code == protocol::ErrorCode::kTopicAlreadyExists)) {
        break;
      }
      error = with_words(broker_error(result.error_code, "CreateTopics of '" + topic.name + "'"),
                         result.error_message);
      may_be_ours = may_be_ours || result.error_code == protocol::ErrorCode::kRequestTimedOut;
    }
    CO_RETURN_IF_ERROR(
        co_await pause_or_give_up(cluster, std::move(error), backoff.next(), deadline));
  }
  // Not only known to exist but led, every partition of it.
  cluster->forget_topic(topic.name);
  for (std::int32_t index = 0; index < topic.partition_count; ++index) {
    const TopicPartition partition{topic.name, PartitionIndex(index)};
    CO_RETURN_IF_ERROR(co_await cluster->leader(partition, deadline));
  }
  co_return Status{};
}

Task<Status> Admin::delete_topic(std::string name, MonotonicTime deadline) {
  const auto cluster = cluster_;
  Backoff backoff(cluster->options(), cluster->environment().random);
  bool may_be_gone = false;
  while (true) {
    const auto connection = co_await controller_connection(deadline);
    CO_RETURN_IF_ERROR(connection);
    protocol::DeleteTopicsRequest request;
    request.topics.emplace_back().name = name;
    request.topic_names.push_back(name);
    request.timeout_ms = timeout_ms(*cluster);
    const auto reply =
        co_await (*connection)->send(std::move(request), cluster->request_deadline(deadline));
    cluster->forget_topic(name);
    Error error{ErrorCode::kCorrupt, "DeleteTopics: no answer for the topic", Recovery::kFatal};
    if (!reply) {
      error = reply.error();
      may_be_gone = true;
    } else if (reply->body.responses.size() == 1) {
      const auto& result = reply->body.responses.front();
      const bool is_unknown = result.error_code == protocol::ErrorCode::kUnknownTopicOrPartition;
      if (result.error_code == protocol::ErrorCode::kNone || (may_be_gone && is_unknown)) {
        co_return co_await wait_until_unknown(std::move(name), deadline);
      }
      error = with_words(broker_error(result.error_code, "DeleteTopics of '" + name + "'"),
                         result.error_message);
      if (is_unknown) {
        error.recovery = Recovery::kFatal;
      }
    }
    CO_RETURN_IF_ERROR(
        co_await pause_or_give_up(cluster, std::move(error), backoff.next(), deadline));
  }
}

// Brokers hear from the controller a little later, and who asks one of them whether the topic is
// there would not make it again. Somebody else may have made it again already: that is no failure.
Task<Status> Admin::wait_until_unknown(std::string name, MonotonicTime deadline) {
  constexpr Duration kWaitMax = seconds(5);
  const auto cluster = cluster_;
  const MonotonicTime until = std::min(deadline, cluster->scheduler().now() + kWaitMax);
  Backoff backoff(cluster->options(), cluster->environment().random);
  while (true) {
    cluster->forget_topic(name);
    const auto found = co_await cluster->existing_topic(name, until);
    const bool may_be_there = found || found.error().code == ErrorCode::kTimedOut;
    if (!may_be_there || !co_await cluster->pause(backoff.next(), until)) {
      co_return Status{};
    }
  }
}

Task<Result<TopicMetadata>> Admin::describe_topic(std::string name, MonotonicTime deadline) {
  cluster_->forget_topic(name);
  return cluster_->existing_topic(std::move(name), deadline);
}

Task<Result<std::string>> Admin::topic_config(std::string topic, std::string key,
                                              MonotonicTime deadline) {
  const auto cluster = cluster_;
  Backoff backoff(cluster->options(), cluster->environment().random);
  while (true) {
    const auto connection = co_await cluster->any_connection(channel_, deadline);
    CO_RETURN_IF_ERROR(connection);
    protocol::DescribeConfigsRequest request;
    constexpr std::int8_t kTopicResource = 2;
    request.resources.push_back(
        {.resource_type = kTopicResource, .resource_name = topic, .configuration_keys = {{key}}});
    const auto reply =
        co_await (*connection)->send(std::move(request), cluster->request_deadline(deadline));
    Error error{ErrorCode::kNotFound, fmt::format("DescribeConfigs: no {} of '{}'", key, topic),
                Recovery::kFatal};
    if (!reply) {
      error = reply.error();
    } else if (reply->body.results.size() == 1) {
      const auto& result = reply->body.results.front();
      const auto config = std::ranges::find_if(
          result.configs, [&](const auto& one) { return one.name == key && one.value; });
      if (config != result.configs.end()) {
        co_return *config->value;
      }
      if (result.error_code != protocol::ErrorCode::kNone) {
        error = with_words(broker_error(result.error_code, "DescribeConfigs of '" + topic + "'"),
                           result.error_message);
      }
    }
    CO_RETURN_IF_ERROR(
        co_await pause_or_give_up(cluster, std::move(error), backoff.next(), deadline));
  }
}

Task<Result<std::size_t>> Admin::message_bytes_max(std::string topic, MonotonicTime deadline) {
  constexpr std::string_view kKey = "max.message.bytes";
  const auto value = co_await topic_config(topic, std::string(kKey), deadline);
  CO_RETURN_IF_ERROR(value);
  std::size_t bytes = 0;
  std::from_chars(value->data(), value->data() + value->size(), bytes);
  if (bytes == 0) {
    co_return fail(ErrorCode::kNotFound, fmt::format("{} of '{}' is {}", kKey, topic, *value));
  }
  co_return bytes;
}

Task<Result<std::vector<std::string>>> Admin::list_topics(MonotonicTime deadline) {
  return cluster_->list_topics(deadline);
}

Task<Result<ListedOffset>> Admin::list_offset(TopicPartition partition, std::int64_t timestamp_ms,
                                              IsolationLevel isolation_level,
                                              MonotonicTime deadline) {
  const auto cluster = cluster_;
  Backoff backoff(cluster->options(), cluster->environment().random);
  while (true) {
    const auto leader = co_await cluster->leader(partition, deadline);
    CO_RETURN_IF_ERROR(leader);
    const auto connection = co_await cluster->connection(channel_, *leader, deadline);
    CO_RETURN_IF_ERROR(connection);
    protocol::ListOffsetsRequest request;
    request.isolation_level = static_cast<std::int8_t>(isolation_level);
    auto& topic = request.topics.emplace_back();
    topic.name = partition.topic;
    auto& wanted = topic.partitions.emplace_back();
    wanted.partition_index = partition.partition.value;
    wanted.timestamp = timestamp_ms;
    const auto reply =
        co_await (*connection)->send(std::move(request), cluster->request_deadline(deadline));
    Error error{ErrorCode::kCorrupt, "ListOffsets: no answer for the partition", Recovery::kFatal};
    if (!reply) {
      error = reply.error();
    } else if (reply->body.topics.size() == 1 &&
               reply->body.topics.front().partitions.size() == 1) {
      const auto& result = reply->body.topics.front().partitions.front();
      if (result.error_code == protocol::ErrorCode::kNone) {
        co_return ListedOffset{partition, Offset(result.offset), result.timestamp};
      }
      error = broker_error(result.error_code, fmt::format("ListOffsets of {}-{}", partition.topic,
                                                          partition.partition.value));
      if (is_wrong_leader(result.error_code)) {
        cluster->forget_topic(partition.topic);
      }
    }
    CO_RETURN_IF_ERROR(
        co_await pause_or_give_up(cluster, std::move(error), backoff.next(), deadline));
  }
}

Task<Result<std::vector<ListedOffset>>> Admin::list_offsets(std::vector<TopicPartition> partitions,
                                                            std::int64_t timestamp_ms,
                                                            IsolationLevel isolation_level,
                                                            MonotonicTime deadline) {
  // One question a partition: simpler than sorting them by leader, and nobody asks often.
  std::vector<ListedOffset> offsets;
  for (TopicPartition& partition : partitions) {
    auto listed =
        co_await list_offset(std::move(partition), timestamp_ms, isolation_level, deadline);
    CO_RETURN_IF_ERROR(listed);
    offsets.push_back(std::move(*listed));
  }
  co_return offsets;
}

Task<Result<GroupDescription>> Admin::describe_group(std::string group_id, MonotonicTime deadline) {
  protocol::DescribeGroupsRequest request;
  request.groups.push_back(group_id);
  return ask_coordinator<GroupDescription>(cluster_, channel_, std::move(group_id),
                                           std::move(request), describe, deadline);
}

Task<Status> Admin::delete_group(std::string group_id, MonotonicTime deadline) {
  protocol::DeleteGroupsRequest request;
  request.groups_names.push_back(group_id);
  return ask_coordinator<void>(
      cluster_, channel_, std::move(group_id), std::move(request),
      [](const Reply<protocol::DeleteGroupsResponse>& reply) -> CoordinatorAnswer<void> {
        if (reply->results.size() != 1) {
          return {.result = no_answer("DeleteGroups")};
        }
        const auto& deleted = reply->results.front();
        if (deleted.error_code == protocol::ErrorCode::kNone) {
          return {};
        }
        return {deleted.error_code,
                std::unexpected(broker_error(deleted.error_code,
                                             "DeleteGroups of '" + deleted.group_id + "'"))};
      },
      deadline);
}

Task<Result<std::vector<CommittedOffset>>> Admin::committed(std::string group_id,
                                                            std::vector<TopicPartition> partitions,
                                                            MonotonicTime deadline) {
  return fetch_committed(cluster_, channel_, GroupMetadata{.group_id = std::move(group_id)},
                         std::move(partitions), deadline);
}

}  // namespace onceflow::client
