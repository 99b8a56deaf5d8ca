#include "audit/kafka_log_reader.h"

#include <fmt/format.h>

#include "audit/names.h"
#include "protocol/error_code.h"
#include "protocol/messages/01_fetch.h"
#include "protocol/messages/02_list_offsets.h"
#include "protocol/messages/09_offset_fetch.h"
#include "protocol/messages/10_find_coordinator.h"
#include "protocol/messages/32_describe_configs.h"

namespace onceflow::audit {
namespace {

// The last versions that name topics, and the first that says what is stable.
constexpr std::int16_t kFetchVersionMax = 12;
constexpr std::int16_t kMetadataVersionMax = 12;
constexpr std::int16_t kFindCoordinatorVersionMax = 3;
constexpr std::int16_t kOffsetFetchVersionMin = 7;
constexpr std::int16_t kOffsetFetchGroupsFrom = 8;
constexpr std::int16_t kOffsetFetchVersionMax = 9;

constexpr std::int64_t kEarliestTimestamp = -2;
constexpr std::int64_t kLatestTimestamp = -1;
constexpr std::int8_t kTopicResource = 2;
constexpr std::int32_t kFetchWaitMaxMs = 100;

bool is_passing(protocol::ErrorCode code) {
  switch (code) {
    case protocol::ErrorCode::kLeaderNotAvailable:
    case protocol::ErrorCode::kNotLeaderOrFollower:
    case protocol::ErrorCode::kRequestTimedOut:
    case protocol::ErrorCode::kReplicaNotAvailable:
    case protocol::ErrorCode::kNetworkException:
    case protocol::ErrorCode::kCoordinatorLoadInProgress:
    case protocol::ErrorCode::kCoordinatorNotAvailable:
    case protocol::ErrorCode::kNotCoordinator:
    case protocol::ErrorCode::kFencedLeaderEpoch:
    case protocol::ErrorCode::kUnknownLeaderEpoch:
    case protocol::ErrorCode::kOffsetNotAvailable:
    case protocol::ErrorCode::kUnstableOffsetCommit:
      return true;
    default:
      return false;
  }
}

/// What a broker said, as an error of ours.
std::unexpected<Error> refuse(std::string_view what, protocol::ErrorCode code) {
  const std::string_view fix =
      code == protocol::ErrorCode::kKafkaStorageError
          ? ": the broker cannot use its disk there, or what it holds there is damaged; the fix: "
            "of a data directory onceflow audit --data-dir DIR names all that is damaged, and "
            "docs/what-to-do-when.md says what to do"
          : "";
  return fail(ErrorCode::kRefused, fmt::format("{}: {}{}", what, protocol::to_string(code), fix),
              is_passing(code) ? Recovery::kRetriable : Recovery::kFatal);
}

bool is_retriable(const Error& error) {
  return error.recovery == Recovery::kRetriable || error.code == ErrorCode::kConnectionLost ||
         error.code == ErrorCode::kTimedOut;
}

std::unexpected<Error> malformed(std::string_view what) {
  return fail(ErrorCode::kCorrupt, fmt::format("the answer to {} does not answer it", what));
}

}  // namespace

KafkaLogReader::KafkaLogReader(io::Environment environment, KafkaLogReaderOptions options)
    : environment_(environment), options_(std::move(options)), never_(environment.scheduler) {}

KafkaLogReader::~KafkaLogReader() = default;

template <typename T, typename Attempt>
Task<Result<T>> KafkaLogReader::retry(Attempt attempt) {
  const MonotonicTime until = environment_.scheduler.now() + options_.retry_timeout;
  while (true) {
    Result<T> result = co_await attempt();
    if (result || !is_retriable(result.error()) || environment_.scheduler.now() >= until) {
      co_return result;
    }
    links_.clear();
    leaders_.clear();
    co_await pause();
  }
}

Task<void> KafkaLogReader::pause() { co_await never_.wait_for(options_.pause); }

Task<Result<BrokerLink*>> KafkaLogReader::link_to(io::Endpoint endpoint) {
  const auto place = links_.find(endpoint);
  if (place != links_.end()) {
    co_return place->second.get();
  }
  auto link = co_await BrokerLink::connect(environment_, endpoint, options_.request_timeout);
  if (!link) {
    co_return fail(link.error().code,
                   fmt::format("{}: {}", io::to_string(endpoint), link.error().text),
                   link.error().recovery);
  }
  co_return (links_[endpoint] = std::move(*link)).get();
}

Task<Result<BrokerLink*>> KafkaLogReader::any_link() {
  if (!links_.empty()) {
    co_return links_.begin()->second.get();
  }
  Result<BrokerLink*> link = fail(ErrorCode::kInvalidArgument, "no bootstrap.servers");
  for (const io::Endpoint& endpoint : options_.bootstrap_servers) {
    link = co_await link_to(endpoint);
    if (link) {
      break;
    }
  }
  co_return link;
}

Task<Status> KafkaLogReader::read_metadata(std::string topic) {
  const auto link = co_await any_link();
  CO_RETURN_IF_ERROR(link);
  protocol::MetadataRequest request;
  request.topics.emplace().push_back({.name = topic});
  request.allow_auto_topic_creation = false;
  const auto answer = co_await (*link)->call(std::move(request), kMetadataVersionMax);
  CO_RETURN_IF_ERROR(answer);
  const protocol::MetadataResponse& metadata = answer->response;
  std::map<std::int32_t, io::Endpoint> nodes;
  for (const auto& broker : metadata.brokers) {
    nodes[broker.node_id] = {broker.host, static_cast<std::uint16_t>(broker.port)};
  }
  if (metadata.topics.size() != 1) {
    co_return malformed("Metadata");
  }
  const auto& found = metadata.topics.front();
  if (found.error_code == protocol::ErrorCode::kUnknownTopicOrPartition) {
    leaders_[topic] = std::nullopt;
    co_return Status{};
  }
  if (found.error_code != protocol::ErrorCode::kNone) {
    co_return refuse("topic " + topic, found.error_code);
  }
  std::map<PartitionIndex, io::Endpoint> leaders;
  for (const auto& partition : found.partitions) {
    const auto node = nodes.find(partition.leader_id);
    if (node == nodes.end()) {
      co_return refuse(fmt::format("{}-{}", topic, partition.partition_index),
                       protocol::ErrorCode::kLeaderNotAvailable);
    }
    leaders[PartitionIndex(partition.partition_index)] = node->second;
  }
  leaders_[topic] = std::move(leaders);
  topic_ids_[topic] = found.topic_id;
  co_return Status{};
}

Task<Result<std::optional<TopicDescription>>> KafkaLogReader::describe(std::string topic) {
  using Description = std::optional<TopicDescription>;
  co_return co_await retry<Description>([&]() -> Task<Result<Description>> {
    CO_RETURN_IF_ERROR(co_await read_metadata(topic));
    const auto& leaders = leaders_.at(topic);
    if (!leaders) {
      co_return Description{};
    }
    const auto count = static_cast<std::int32_t>(leaders->size());
    const auto compacted = co_await is_compacted(topic);
    CO_RETURN_IF_ERROR(compacted);
    co_return Description(TopicDescription{count, *compacted, topic_ids_[topic]});
  });
}

Task<Result<bool>> KafkaLogReader::is_compacted(std::string topic) {
  const auto link = co_await any_link();
  CO_RETURN_IF_ERROR(link);
  using Request = protocol::DescribeConfigsRequest;
  if (!(*link)->common_version(Request::kApiKey, Request::kVersionMin, Request::kVersionMax)) {
    co_return false;
  }
  Request request;
  request.resources.push_back({.resource_type = kTopicResource,
                               .resource_name = topic,
                               .configuration_keys = std::vector<std::string>{"cleanup.policy"}});
  const auto answer = co_await (*link)->call(std::move(request), Request::kVersionMax);
  CO_RETURN_IF_ERROR(answer);
  for (const auto& result : answer->response.results) {
    for (const auto& config : result.configs) {
      if (config.name == "cleanup.policy" && config.value) {
        co_return config.value->find("compact") != std::string::npos;
      }
    }
  }
  co_return false;
}

Task<Result<BrokerLink*>> KafkaLogReader::leader_of(TopicPartition partition) {
  if (!leaders_.contains(partition.topic)) {
    CO_RETURN_IF_ERROR(co_await read_metadata(partition.topic));
  }
  const auto& leaders = leaders_.at(partition.topic);
  if (leaders) {
    if (const auto leader = leaders->find(partition.partition); leader != leaders->end()) {
      co_return co_await link_to(leader->second);
    }
  }
  co_return fail(ErrorCode::kNotFound, name_of(partition) + " does not exist");
}

Task<Result<Offset>> KafkaLogReader::list_offset(TopicPartition partition, std::int64_t timestamp,
                                                 Isolation isolation) {
  const auto link = co_await leader_of(partition);
  CO_RETURN_IF_ERROR(link);
  protocol::ListOffsetsRequest request;
  request.isolation_level = static_cast<std::int8_t>(isolation);
  request.topics.push_back(
      {.name = partition.topic,
       .partitions = {{.partition_index = partition.partition.value, .timestamp = timestamp}}});
  const auto answer =
      co_await (*link)->call(std::move(request), protocol::ListOffsetsRequest::kVersionMax);
  CO_RETURN_IF_ERROR(answer);
  const auto& topics = answer->response.topics;
  if (topics.size() != 1 || topics[0].partitions.size() != 1) {
    co_return malformed("ListOffsets");
  }
  const auto& found = topics[0].partitions[0];
  if (found.error_code != protocol::ErrorCode::kNone) {
    co_return refuse(name_of(partition), found.error_code);
  }
  co_return Offset(found.offset);
}

Task<Result<PartitionBounds>> KafkaLogReader::bounds(TopicPartition partition) {
  co_return co_await retry<PartitionBounds>([&]() -> Task<Result<PartitionBounds>> {
    const auto start =
        co_await list_offset(partition, kEarliestTimestamp, Isolation::kReadUncommitted);
    CO_RETURN_IF_ERROR(start);
    const auto stable =
        co_await list_offset(partition, kLatestTimestamp, Isolation::kReadCommitted);
    CO_RETURN_IF_ERROR(stable);
    const auto end = co_await list_offset(partition, kLatestTimestamp, Isolation::kReadUncommitted);
    CO_RETURN_IF_ERROR(end);
    co_return PartitionBounds{*start, *stable, *end};
  });
}

Task<Result<FetchedBatches>> KafkaLogReader::fetch(TopicPartition partition, Offset from,
                                                   Isolation isolation) {
  co_return co_await retry<FetchedBatches>([&]() -> Task<Result<FetchedBatches>> {
    const auto link = co_await leader_of(partition);
    CO_RETURN_IF_ERROR(link);
    protocol::FetchRequest request;
    request.max_wait_ms = kFetchWaitMaxMs;
    request.min_bytes = 1;
    request.max_bytes = options_.fetch_bytes_max;
    request.isolation_level = static_cast<std::int8_t>(isolation);
    request.topics.push_back({.topic = partition.topic,
                              .partitions = {{.partition = partition.partition.value,
                                              .fetch_offset = from.value,
                                              .partition_max_bytes = options_.fetch_bytes_max}}});
    const auto answer = co_await (*link)->call(std::move(request), kFetchVersionMax);
    CO_RETURN_IF_ERROR(answer);
    const protocol::FetchResponse& response = answer->response;
    if (response.error_code != protocol::ErrorCode::kNone) {
      co_return refuse(name_of(partition), response.error_code);
    }
    if (response.responses.size() != 1 || response.responses[0].partitions.size() != 1) {
      co_return malformed("Fetch");
    }
    const auto& found = response.responses[0].partitions[0];
    if (found.error_code != protocol::ErrorCode::kNone) {
      co_return refuse(fmt::format("{} offset {}", name_of(partition), from.value),
                       found.error_code);
    }
    FetchedBatches fetched{.bytes = to_buffer(found.records.value_or(ByteView{}))};
    if (found.aborted_transactions) {
      for (const auto& aborted : *found.aborted_transactions) {
        fetched.aborted_transactions.push_back(
            {ProducerId(aborted.producer_id), Offset(aborted.first_offset)});
      }
    }
    co_return fetched;
  });
}

Task<Result<BrokerLink*>> KafkaLogReader::coordinator_of(std::string group_id) {
  const auto link = co_await any_link();
  CO_RETURN_IF_ERROR(link);
  protocol::FindCoordinatorRequest request;
  request.key = group_id;
  const auto answer = co_await (*link)->call(std::move(request), kFindCoordinatorVersionMax);
  CO_RETURN_IF_ERROR(answer);
  if (answer->response.error_code != protocol::ErrorCode::kNone) {
    co_return refuse("group " + group_id, answer->response.error_code);
  }
  co_return co_await link_to(
      {answer->response.host, static_cast<std::uint16_t>(answer->response.port)});
}

Task<Result<std::vector<GroupPosition>>> KafkaLogReader::positions(
    std::string group_id, std::vector<TopicPartition> partitions) {
  using Positions = std::vector<GroupPosition>;
  if (partitions.empty()) {
    co_return Positions{};
  }
  co_return co_await retry<Positions>([&]() -> Task<Result<Positions>> {
    const auto link = co_await coordinator_of(group_id);
    CO_RETURN_IF_ERROR(link);
    co_return co_await fetch_positions(**link, group_id, partitions);
  });
}

Task<Result<std::vector<GroupPosition>>> KafkaLogReader::fetch_positions(
    BrokerLink& link, std::string group_id, const std::vector<TopicPartition>& partitions) {
  using Request = protocol::OffsetFetchRequest;
  const auto version =
      link.common_version(Request::kApiKey, kOffsetFetchVersionMin, kOffsetFetchVersionMax);
  CO_RETURN_IF_ERROR(version);
  std::map<std::string, std::vector<std::int32_t>> by_topic;
  for (const TopicPartition& partition : partitions) {
    by_topic[partition.topic].push_back(partition.partition.value);
  }
  // A position that a transaction is about to move is not decided: the broker is to say so.
  Request request{.require_stable = true};
  Request::Group group{.group_id = group_id, .topics = std::vector<Request::GroupTopic>{}};
  request.group_id = group_id;
  request.topics.emplace();
  for (auto& [topic, indexes] : by_topic) {
    group.topics->push_back({topic, indexes});
    request.topics->push_back({topic, indexes});
  }
  request.groups.push_back(std::move(group));
  const auto answer = co_await link.call(std::move(request), *version);
  CO_RETURN_IF_ERROR(answer);
  std::vector<GroupPosition> positions;
  const auto take = [&](const auto& topics, protocol::ErrorCode code) -> Status {
    if (code != protocol::ErrorCode::kNone && code != protocol::ErrorCode::kGroupIdNotFound) {
      return refuse("group " + group_id, code);
    }
    for (const auto& topic : topics) {
      for (const auto& partition : topic.partitions) {
        if (partition.error_code != protocol::ErrorCode::kNone) {
          return refuse("group " + group_id, partition.error_code);
        }
        positions.push_back({{topic.name, PartitionIndex(partition.partition_index)},
                             Offset(partition.committed_offset),
                             partition.metadata.value_or(std::string())});
      }
    }
    return {};
  };
  if (*version >= kOffsetFetchGroupsFrom) {
    for (const auto& found : answer->response.groups) {
      CO_RETURN_IF_ERROR(take(found.topics, found.error_code));
    }
  } else {
    CO_RETURN_IF_ERROR(take(answer->response.topics, answer->response.error_code));
  }
  co_return positions;
}

}  // namespace onceflow::audit
