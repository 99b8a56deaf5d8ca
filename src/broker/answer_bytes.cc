#include "broker/answer_bytes.h"

#include <algorithm>

namespace onceflow::broker {
namespace {

// In an answer, without names: of a topic, and of a partition of Metadata with one replica.
constexpr std::size_t kTopicBytes = 64;
constexpr std::size_t kMetadataPartitionBytes = 64;
// A name and what belongs to it, where the name is not looked up.
constexpr std::size_t kNameBytesMax = 300;
// A topic has some thirty settings, with a name, a value, and if asked for where the value comes
// from and what it means.
constexpr std::size_t kConfigsBytes = 4 * 1024;
constexpr std::size_t kConfigOriginsBytes = 8 * 1024;
constexpr std::size_t kConfigTextsBytes = 8 * 1024;

std::size_t metadata_bytes(const log::Topic& topic) {
  return kTopicBytes + topic.name.size() + topic.partitions.size() * kMetadataPartitionBytes;
}

std::size_t all_topics_bytes(const BrokerCore& core) {
  std::size_t bytes = 0;
  for (const auto& [name, topic] : core.log.topics().by_name()) {
    bytes += metadata_bytes(*topic);
  }
  return bytes;
}

}  // namespace

std::size_t answer_bytes(const BrokerCore& core, const Request& request,
                         const protocol::MetadataRequest& body) {
  if (!body.topics || (request.header.api_version == 0 && body.topics->empty())) {
    return all_topics_bytes(core);
  }
  std::size_t bytes = 0;
  for (const auto& asked : *body.topics) {
    const log::Topic* const topic =
        asked.name ? core.log.topics().find(*asked.name) : core.log.topics().find(asked.topic_id);
    bytes += topic == nullptr ? kTopicBytes + asked.name.value_or("").size() +
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
  std::size_t bytes = 8 * request.body.size() + groups.offset_bytes_of(body.group_id);
  for (const auto& group : body.groups) {
    bytes += groups.offset_bytes_of(group.group_id);
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
  std::size_t bytes = 8 * request.body.size();
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

std::size_t answer_bytes(const BrokerCore&, const Request& request,
                         const protocol::DescribeConfigsRequest& body) {
  return request.body.size() +
         body.resources.size() *
             (kConfigsBytes + (body.include_synonyms ? kConfigOriginsBytes : 0) +
              (body.include_documentation ? kConfigTextsBytes : 0));
}

std::size_t answer_bytes(const BrokerCore& core, const Request& request,
                         const protocol::DescribeLogDirsRequest&) {
  return request.body.size() + all_topics_bytes(core);
}

std::size_t answer_bytes(const BrokerCore& core, const Request& request,
                         const protocol::DescribeTransactionsRequest& body) {
  std::size_t bytes = 8 * request.body.size();
  for (const std::string& id : body.transactional_ids) {
    const auto found = core.coordinator.transactions().describe(id);
    bytes += found ? found->partitions.size() * kNameBytesMax : 0;
  }
  return bytes;
}

std::size_t answer_bytes(const BrokerCore& core, const Request&,
                         const protocol::ListTransactionsRequest&) {
  return core.coordinator.transactions().transactional_id_count() *
         (core.options.coordinator.transactions.transactional_id_bytes_max + kTopicBytes);
}

}  // namespace onceflow::broker
