#include "broker/answer_bytes.h"

#include <algorithm>
#include <utility>

namespace onceflow::broker {
namespace {

// Without its name: of a topic in any answer; of one of Metadata, and a partition with one replica;
// of a partition of DescribeLogDirs.
constexpr std::size_t kTopicBytes = 96;
constexpr std::size_t kMetadataTopicBytes = 160;
constexpr std::size_t kMetadataPartitionBytes = 208;
constexpr std::size_t kLogDirPartitionBytes = 64;
// A name and what belongs to it, where the name is not looked up.
constexpr std::size_t kNameBytesMax = 300;
// Of a partition of Produce, of OffsetFetch.
constexpr std::size_t kProducedBytes = 176;
constexpr std::size_t kFetchedOffsetBytes = 96;
// A topic, or the broker, has some forty settings at most. Of one: its name and value, and if asked
// for where the value comes from and what it means; without the values that clients have set.
constexpr std::size_t kConfigCountMax = 64;
constexpr std::size_t kTopicConfigCount = 32;
constexpr std::size_t kConfigBytes = 232;
constexpr std::size_t kConfigOriginsBytes = 384;
constexpr std::size_t kConfigTextBytes = 128;
// More topics than this in one CreateTopics are not described.
constexpr std::size_t kTopicsDescribedMax = 1000;
constexpr std::int16_t kCreateTopicsVersionThatDescribes = 5;
constexpr std::size_t kProducerBytes = 96;

std::size_t metadata_bytes(const log::Topic& topic) {
  return kMetadataTopicBytes + 2 * topic.name.size() +
         topic.partitions.size() * kMetadataPartitionBytes;
}

std::size_t all_topics_bytes(const BrokerCore& core, std::size_t topic_bytes,
                             std::size_t partition_bytes) {
  const log::Topics& topics = core.log.topics();
  return topics.by_name().size() * topic_bytes + 2 * topics.name_bytes() +
         topics.partition_count() * partition_bytes;
}

std::size_t bytes_of(const log::TopicConfigOverrides& overrides) {
  std::size_t bytes = 0;
  for (const auto& [name, value] : overrides) {
    bytes += value.size();
  }
  return bytes;
}

}  // namespace

std::size_t answer_bytes(const BrokerCore&, const Request&, const protocol::ProduceRequest& body) {
  std::size_t count = 0;
  for (const auto& topic : body.topic_data) {
    count += topic.partition_data.size();
  }
  return body.topic_data.size() * kTopicBytes + count * kProducedBytes +
         std::min(2 * kProduceTextBytesMax, count * 2 * kNameBytesMax);
}

std::size_t answer_bytes(const BrokerCore& core, const Request& request,
                         const protocol::MetadataRequest& body) {
  if (asks_for_all(request, body)) {
    return all_topics_bytes(core, kMetadataTopicBytes, kMetadataPartitionBytes);
  }
  std::size_t bytes = 0;
  for (const auto& asked : *body.topics) {
    const log::Topic* const topic =
        asked.name ? core.log.topics().find(*asked.name) : core.log.topics().find(asked.topic_id);
    bytes += topic == nullptr ? kMetadataTopicBytes + 2 * asked.name.value_or("").size() +
                                    static_cast<std::size_t>(core.options.num_partitions) *
                                        kMetadataPartitionBytes
                              : metadata_bytes(*topic);
  }
  return bytes;
}

std::size_t answer_bytes(const BrokerCore& core, const Request& request,
                         const protocol::OffsetFetchRequest& body) {
  const coordinator::GroupCoordinator& groups = core.coordinator.groups();
  // What the request names comes back, and no more metadata than the group has.
  std::size_t bytes = bytes_of_what_is_named(request, body) + groups.offset_bytes_of(body.group_id);
  const auto count = [&](const auto& topics) {
    for (const auto& topic : topics) {
      bytes += topic.partition_indexes.size() * kFetchedOffsetBytes;
    }
  };
  if (body.topics) {
    count(*body.topics);
  }
  for (const auto& group : body.groups) {
    bytes += groups.offset_bytes_of(group.group_id);
    if (group.topics) {
      count(*group.topics);
    }
  }
  return bytes;
}

std::size_t answer_bytes(const BrokerCore& core, const Request& request,
                         const protocol::JoinGroupRequest& body) {
  return 2 * (request.body.size() + core.coordinator.groups().membership_bytes_of(body.group_id));
}

std::size_t answer_bytes(const BrokerCore& core, const Request& request,
                         const protocol::SyncGroupRequest& body) {
  return request.body.size() +
         std::min(core.options.coordinator.groups.member_bytes_max,
                  core.coordinator.groups().membership_bytes_of(body.group_id));
}

std::size_t answer_bytes(const BrokerCore& core, const Request& request,
                         const protocol::DescribeGroupsRequest& body) {
  std::size_t bytes = bytes_of_what_is_named(request, body);
  for (const std::string& group_id : body.groups) {
    bytes += core.coordinator.groups().membership_bytes_of(group_id);
  }
  return bytes;
}

std::size_t answer_bytes(const BrokerCore& core, const Request&,
                         const protocol::ListGroupsRequest&) {
  return core.coordinator.groups().usage().group_count *
         (core.options.coordinator.groups.id_bytes_max + kTopicBytes);
}

bool describes_created_topics(const Request& request, const protocol::CreateTopicsRequest& body) {
  return request.header.api_version >= kCreateTopicsVersionThatDescribes &&
         std::max(body.topics.size(), request.thing_count) <= kTopicsDescribedMax;
}

std::size_t answer_bytes(const BrokerCore&, const Request& request,
                         const protocol::CreateTopicsRequest& body) {
  return bytes_of_what_is_named(request, body) +
         (describes_created_topics(request, body)
              ? body.topics.size() * kTopicConfigCount * kConfigBytes
              : 0);
}

// A value that a client has set is told as the one in force, and as the first of where it is from.
std::size_t answer_bytes(const BrokerCore& core, const Request& request,
                         const protocol::DescribeConfigsRequest& body) {
  const std::size_t config_bytes = kConfigBytes +
                                   (body.include_synonyms ? kConfigOriginsBytes : 0) +
                                   (body.include_documentation ? kConfigTextBytes : 0);
  std::size_t bytes = bytes_of_what_is_named(request, body);
  for (const auto& resource : body.resources) {
    const log::Topic* const topic = core.log.topics().find(resource.resource_name);
    const std::size_t count_max = topic == nullptr ? kConfigCountMax : kTopicConfigCount;
    const auto& keys = resource.configuration_keys;
    bytes +=
        config_bytes * (keys && !keys->empty() ? std::min(keys->size(), count_max) : count_max);
    bytes += topic == nullptr ? 0 : (body.include_synonyms ? 4 : 2) * bytes_of(topic->overrides);
  }
  return bytes;
}

std::size_t answer_bytes(const BrokerCore& core, const Request& request,
                         const protocol::DescribeLogDirsRequest&) {
  return request.body.size() + all_topics_bytes(core, kTopicBytes, kLogDirPartitionBytes);
}

std::size_t answer_bytes(const BrokerCore& core, const Request& request,
                         const protocol::DescribeProducersRequest& body) {
  std::size_t bytes = bytes_of_what_is_named(request, body);
  for (const auto& topic : body.topics) {
    const log::Topic* const found = core.log.topics().find(topic.name);
    for (const std::int32_t index : topic.partition_indexes) {
      bytes += kTopicBytes;
      if (found != nullptr && index >= 0 && std::cmp_less(index, found->partitions.size())) {
        bytes +=
            found->partitions[static_cast<std::size_t>(index)]->producers().size() * kProducerBytes;
      }
    }
  }
  return bytes;
}

std::size_t answer_bytes(const BrokerCore& core, const Request& request,
                         const protocol::DescribeTransactionsRequest& body) {
  std::size_t bytes = bytes_of_what_is_named(request, body);
  for (const std::string& id : body.transactional_ids) {
    const auto found = core.coordinator.transactions().describe(id);
    bytes += found ? found->partitions.size() * kNameBytesMax : 0;
  }
  return bytes;
}

std::size_t answer_bytes(const BrokerCore& core, const Request&,
                         const protocol::ListTransactionsRequest&) {
  return core.coordinator.transactions().part_bytes() +
         core.coordinator.transactions().transactional_id_count() *
             (core.options.coordinator.transactions.transactional_id_bytes_max + kTopicBytes);
}

std::size_t answer_bytes(const BrokerCore& core, const Request& request,
                         const protocol::ListConfigResourcesRequest&) {
  const log::Topics& topics = core.log.topics();
  return 8 * request.body.size() + (topics.by_name().size() + 1) * kTopicBytes +
         2 * topics.name_bytes();
}

}  // namespace onceflow::broker
