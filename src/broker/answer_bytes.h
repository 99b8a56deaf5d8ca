// How much memory the answer to a request may take, before it is made: so that this is there first.
// As it is built and as it is written, both. Upper bounds, and cheap: nothing is made to find out.
// An API whose answer tells of more than its request names has its own, which counts that; for the
// others it is a multiple of what is named. Stateless; on the broker's thread.
#pragma once

#include <cstddef>
#include <optional>
#include <type_traits>
#include <vector>

#include "broker/core.h"
#include "broker/request.h"
#include "protocol/field_info.h"
#include "protocol/messages/00_produce.h"
#include "protocol/messages/01_fetch.h"
#include "protocol/messages/03_metadata.h"
#include "protocol/messages/09_offset_fetch.h"
#include "protocol/messages/11_join_group.h"
#include "protocol/messages/14_sync_group.h"
#include "protocol/messages/15_describe_groups.h"
#include "protocol/messages/16_list_groups.h"
#include "protocol/messages/19_create_topics.h"
#include "protocol/messages/32_describe_configs.h"
#include "protocol/messages/35_describe_log_dirs.h"
#include "protocol/messages/61_describe_producers.h"
#include "protocol/messages/65_describe_transactions.h"
#include "protocol/messages/66_list_transactions.h"
#include "protocol/messages/74_list_config_resources.h"

namespace onceflow::broker {

/// Of a thing that a request names and its answer speaks of, as it is built and as it is written:
/// one with its partitions is answered by numbers, what stands alone maybe with a sentence.
inline constexpr std::size_t kWithPartitionsBytes = 96;
inline constexpr std::size_t kNamedBytes = 320;

template <typename Field>
std::size_t named_bytes_of(const Field&) {
  return 0;
}
template <typename Thing>
std::size_t named_bytes_of(const std::vector<Thing>& things) {
  if constexpr (
      requires(const Thing& thing) { thing.partitions.size(); } ||
      requires(const Thing& thing) { thing.partition_indexes.size(); }) {
    return things.size() * kWithPartitionsBytes;
  } else {
    return std::is_class_v<Thing> ? things.size() * kNamedBytes : 0;
  }
}
template <typename Thing>
std::size_t named_bytes_of(const std::optional<std::vector<Thing>>& things) {
  return things ? named_bytes_of(*things) : 0;
}

/// What the request names comes back, with a few numbers and a sentence for each.
template <typename Body>
std::size_t bytes_of_what_is_named(const Request& request, const Body& body) {
  std::size_t bytes = 8 * request.body.size();
  Body::for_each_field(
      body, request.header.api_version,
      [&](const protocol::FieldInfo&, const auto& field) { bytes += named_bytes_of(field); });
  return bytes;
}

template <typename Body>
std::size_t answer_bytes(const BrokerCore&, const Request& request, const Body& body) {
  return bytes_of_what_is_named(request, body);
}

/// Of the sentences in one answer of Produce: the first refusals have theirs.
inline constexpr std::size_t kProduceTextBytesMax = 4 * 1024;
/// Whether the answer of CreateTopics has the settings of each: from version 5 on, unless so many
/// were made that they would be more than all else.
bool describes_created_topics(const Request& request, const protocol::CreateTopicsRequest& body);

std::size_t answer_bytes(const BrokerCore& core, const Request& request,
                         const protocol::ProduceRequest& body);
/// Takes its memory itself.
inline std::size_t answer_bytes(const BrokerCore&, const Request&, const protocol::FetchRequest&) {
  return 0;
}
inline bool asks_for_all(const Request& request, const protocol::MetadataRequest& body) {
  return !body.topics || (request.header.api_version == 0 && body.topics->empty());
}
std::size_t answer_bytes(const BrokerCore& core, const Request& request,
                         const protocol::MetadataRequest& body);
std::size_t answer_bytes(const BrokerCore& core, const Request& request,
                         const protocol::OffsetFetchRequest& body);
std::size_t answer_bytes(const BrokerCore& core, const Request& request,
                         const protocol::JoinGroupRequest& body);
std::size_t answer_bytes(const BrokerCore& core, const Request& request,
                         const protocol::SyncGroupRequest& body);
std::size_t answer_bytes(const BrokerCore& core, const Request& request,
                         const protocol::DescribeGroupsRequest& body);
std::size_t answer_bytes(const BrokerCore& core, const Request& request,
                         const protocol::ListGroupsRequest& body);
std::size_t answer_bytes(const BrokerCore& core, const Request& request,
                         const protocol::CreateTopicsRequest& body);
std::size_t answer_bytes(const BrokerCore& core, const Request& request,
                         const protocol::DescribeConfigsRequest& body);
std::size_t answer_bytes(const BrokerCore& core, const Request& request,
                         const protocol::DescribeLogDirsRequest& body);
std::size_t answer_bytes(const BrokerCore& core, const Request& request,
                         const protocol::DescribeProducersRequest& body);
std::size_t answer_bytes(const BrokerCore& core, const Request& request,
                         const protocol::DescribeTransactionsRequest& body);
std::size_t answer_bytes(const BrokerCore& core, const Request& request,
                         const protocol::ListTransactionsRequest& body);
std::size_t answer_bytes(const BrokerCore& core, const Request& request,
                         const protocol::ListConfigResourcesRequest& body);

}  // namespace onceflow::broker
