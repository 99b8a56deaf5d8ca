// OffsetFetch: one group up to version 7, many from version 8 on. Stateless; on the broker's
// thread.
#include "broker/handlers/handlers.h"
#include "broker/handlers/names.h"

namespace onceflow::broker {
namespace {

using coordinator::FetchedOffset;
using coordinator::RequireStable;

constexpr std::int16_t kFirstVersionWithGroups = 8;

template <typename ResponsePartition>
ResponsePartition to_response(const FetchedOffset& fetched) {
  ResponsePartition response;
  response.partition_index = fetched.partition.partition.value;
  response.committed_offset = fetched.offset.value;
  response.committed_leader_epoch = fetched.leader_epoch;
  response.metadata = fetched.metadata;
  response.error_code = fetched.error;
  return response;
}

// The offsets of the named partitions, in the order of the request. One that does not exist has
// none.
template <typename ResponseTopic, typename RequestTopic>
void fetch_named(const BrokerCore& core, std::string_view group_id,
                 const std::vector<RequestTopic>& topics, RequireStable require_stable,
                 std::vector<ResponseTopic>& response) {
  using ResponsePartition = typename decltype(ResponseTopic::partitions)::value_type;
  std::vector<TopicIdPartition> partitions;
  for (const RequestTopic& topic : topics) {
    for (const std::int32_t index : topic.partition_indexes) {
      if (const auto id = identify(core, topic.name, index)) {
        partitions.push_back(*id);
      }
    }
  }
  const std::vector<FetchedOffset> fetched =
      core.coordinator.groups().fetch_offsets(group_id, partitions, require_stable);
  std::size_t next = 0;
  for (const RequestTopic& topic : topics) {
    ResponseTopic& answered = response.emplace_back();
    answered.name = topic.name;
    for (const std::int32_t index : topic.partition_indexes) {
      if (identify(core, topic.name, index)) {
        answered.partitions.push_back(to_response<ResponsePartition>(fetched[next++]));
      } else {
        answered.partitions.push_back(to_response<ResponsePartition>(
            FetchedOffset{.partition = {.partition = PartitionIndex(index)}}));
      }
    }
  }
}

template <typename ResponseTopic>
void fetch_all(const BrokerCore& core, std::string_view group_id, RequireStable require_stable,
               std::vector<ResponseTopic>& response) {
  using ResponsePartition = typename decltype(ResponseTopic::partitions)::value_type;
  group_by_topic(
      response, core.coordinator.groups().fetch_all_offsets(group_id, require_stable),
      [](const FetchedOffset& fetched) -> const TopicIdPartition& { return fetched.partition; },
      [&](ResponseTopic& topic, const TopicId& id) { topic.name = name_of(core, id); },
      [](ResponseTopic& topic, const FetchedOffset& fetched) {
        topic.partitions.push_back(to_response<ResponsePartition>(fetched));
      });
}

}  // namespace

protocol::OffsetFetchResponse handle_offset_fetch(BrokerCore& core, const Request& request,
                                                  const protocol::OffsetFetchRequest& body) {
  const auto require_stable = body.require_stable ? RequireStable::kYes : RequireStable::kNo;
  protocol::OffsetFetchResponse response;
  if (request.header.api_version < kFirstVersionWithGroups) {
    if (body.topics) {
      fetch_named(core, body.group_id, *body.topics, require_stable, response.topics);
    } else {
      fetch_all(core, body.group_id, require_stable, response.topics);
    }
    return response;
  }
  for (const auto& group : body.groups) {
    auto& answered = response.groups.emplace_back();
    answered.group_id = group.group_id;
    if (group.topics) {
      fetch_named(core, group.group_id, *group.topics, require_stable, answered.topics);
    } else {
      fetch_all(core, group.group_id, require_stable, answered.topics);
    }
  }
  return response;
}

}  // namespace onceflow::broker
