// Committed offsets: asking for them and committing them, in or out of a group.
#include "client/committed_offsets.h"

#include <fmt/format.h>

#include <map>

#include "client/ask_coordinator.h"
#include "client/broker_error.h"
#include "protocol/messages/08_offset_commit.h"
#include "protocol/messages/09_offset_fetch.h"

namespace onceflow::client {

namespace {

/// The first version with require_stable.
constexpr std::int16_t kRequireStableVersion = 7;
/// From here on an answer is per group.
constexpr std::int16_t kGroupsVersion = 8;

protocol::OffsetFetchRequest fetch_request(const GroupMetadata& group,
                                           const std::vector<TopicPartition>& partitions) {
  protocol::OffsetFetchRequest request;
  request.group_id = group.group_id;
  request.require_stable = true;
  auto& of_group = request.groups.emplace_back();
  of_group.group_id = group.group_id;
  auto& topics = request.topics.emplace();
  auto& group_topics = of_group.topics.emplace();
  std::map<std::string, std::vector<std::int32_t>> by_topic;
  for (const TopicPartition& partition : partitions) {
    by_topic[partition.topic].push_back(partition.partition.value);
  }
  for (const auto& [name, indexes] : by_topic) {
    topics.push_back({name, indexes});
    group_topics.push_back({name, indexes});
  }
  return request;
}

struct FetchAnswer {
  protocol::ErrorCode error = protocol::ErrorCode::kNone;
  std::map<TopicPartition, CommittedOffset> offsets;
};

template <typename Topics>
void read_topics(const Topics& topics, FetchAnswer& answer) {
  for (const auto& topic : topics) {
    for (const auto& partition : topic.partitions) {
      if (partition.error_code != protocol::ErrorCode::kNone) {
        answer.error = partition.error_code;
        return;
      }
      const TopicPartition name{topic.name, PartitionIndex(partition.partition_index)};
      answer.offsets[name] = {name, Offset(partition.committed_offset),
                              partition.metadata.value_or("")};
    }
  }
}

FetchAnswer read_answer(const Reply<protocol::OffsetFetchResponse>& reply) {
  FetchAnswer answer;
  if (reply.version < kGroupsVersion) {
    answer.error = reply->error_code;
    if (answer.error == protocol::ErrorCode::kNone) {
      read_topics(reply->topics, answer);
    }
  } else if (reply->groups.size() == 1) {
    answer.error = reply->groups.front().error_code;
    if (answer.error == protocol::ErrorCode::kNone) {
      read_topics(reply->groups.front().topics, answer);
    }
  } else {
    answer.error = protocol::ErrorCode::kUnknownServerError;
  }
  return answer;
}

}  // namespace

Task<Result<std::vector<CommittedOffset>>> fetch_committed(std::shared_ptr<Cluster> cluster,
                                                           Channel channel, GroupMetadata group,
                                                           std::vector<TopicPartition> partitions,
                                                           MonotonicTime deadline) {
  if (partitions.empty()) {
    co_return std::vector<CommittedOffset>{};
  }
  Backoff backoff(cluster->options(), cluster->environment().random);
  std::optional<Error> last;
  while (true) {
    const auto node =
        co_await cluster->coordinator(CoordinatorType::kGroup, group.group_id, deadline);
    CO_RETURN_IF_ERROR(node);
    const auto connection = co_await cluster->connection(channel, *node, deadline);
    CO_RETURN_IF_ERROR(connection);
    const auto version = (*connection)->choose_version<protocol::OffsetFetchRequest>();
    CO_RETURN_IF_ERROR(version);
    if (*version < kRequireStableVersion) {
      co_return fail(ErrorCode::kUnsupported,
                     "the broker has no require_stable: committed offsets may be undecided");
    }
    const auto reply =
        co_await (*connection)
            ->send(fetch_request(group, partitions), cluster->request_deadline(deadline));
    if (reply) {
      FetchAnswer answer = read_answer(*reply);
      if (answer.error == protocol::ErrorCode::kNone) {
        std::vector<CommittedOffset> offsets;
        for (const TopicPartition& partition : partitions) {
          const auto place = answer.offsets.find(partition);
          offsets.push_back(place == answer.offsets.end() ? CommittedOffset{partition}
                                                          : std::move(place->second));
        }
        co_return offsets;
      }
      last = broker_error(answer.error, "OffsetFetch of '" + group.group_id + "'");
      if (is_wrong_coordinator(answer.error)) {
        cluster->forget_coordinator(CoordinatorType::kGroup, group.group_id);
      } else if (answer.error != protocol::ErrorCode::kUnstableOffsetCommit &&
                 last->recovery != Recovery::kRetriable) {
        co_return std::unexpected(*last);
      }
    } else {
      last = reply.error();
      if (last->recovery != Recovery::kRetriable) {
        co_return std::unexpected(*last);
      }
    }
    if (const Status paused = co_await cluster->pause(backoff.next(), deadline); !paused) {
      co_return std::unexpected(paused.error().code == ErrorCode::kCancelled
                                    ? paused.error()
                                    : timed_out_error(last->text));
    }
  }
}

Task<Status> commit_offsets(std::shared_ptr<Cluster> cluster, Channel channel, GroupMetadata group,
                            std::vector<OffsetToCommit> offsets, MonotonicTime deadline) {
  if (offsets.empty()) {
    co_return Status{};
  }
  protocol::OffsetCommitRequest request;
  request.group_id = group.group_id;
  request.generation_id_or_member_epoch = group.generation.value;
  request.member_id = group.member_id;
  request.group_instance_id = group.group_instance_id;
  std::map<std::string, std::vector<protocol::OffsetCommitRequest::Partition>> by_topic;
  for (const OffsetToCommit& offset : offsets) {
    auto& partition = by_topic[offset.partition.topic].emplace_back();
    partition.partition_index = offset.partition.partition.value;
    partition.committed_offset = offset.offset.value;
    partition.committed_metadata = offset.metadata;
  }
  for (auto& [name, partitions] : by_topic) {
    request.topics.push_back({name, std::move(partitions)});
  }
  const auto judge =
      [group_id = group.group_id](
          const Reply<protocol::OffsetCommitResponse>& reply) -> CoordinatorAnswer<void> {
    for (const auto& topic : reply->topics) {
      for (const auto& partition : topic.partitions) {
        if (partition.error_code != protocol::ErrorCode::kNone) {
          return {partition.error_code,
                  std::unexpected(broker_error(
                      partition.error_code, fmt::format("OffsetCommit of '{}' for {}-{}", group_id,
                                                        topic.name, partition.partition_index)))};
        }
      }
    }
    return {};
  };
  co_return co_await ask_coordinator<void>(std::move(cluster), channel, std::move(group.group_id),
                                           std::move(request), judge, deadline);
}

}  // namespace onceflow::client
