// ListOffsets: where a partition begins and ends, and the first record from a time on. Stateless;
// on the broker's thread.
#include "broker/handlers/handlers.h"

namespace onceflow::broker {
namespace {

using protocol::ErrorCode;
using PartitionResponse = protocol::ListOffsetsResponse::Partition;

// Kafka's special timestamps.
constexpr std::int64_t kLatest = -1;
constexpr std::int64_t kEarliest = -2;
constexpr std::int64_t kMaxTimestamp = -3;
constexpr std::int64_t kEarliestLocal = -4;
constexpr std::int64_t kLatestTiered = -5;

void answer_found(PartitionResponse& response,
                  const log::Answer<std::optional<log::TimestampOffset>>& found) {
  if (!found) {
    response.error_code = found.error();
  } else if (*found) {
    response.timestamp = (*found)->timestamp;
    response.offset = (*found)->offset.value;
    response.leader_epoch = 0;
  }
}

PartitionResponse find(log::Partition& partition, std::int64_t timestamp,
                       log::IsolationLevel isolation) {
  PartitionResponse response;
  switch (timestamp) {
    case kLatest:
      response.offset = partition.visible_end(isolation).value;
      response.leader_epoch = 0;
      break;
    case kEarliest:
    case kEarliestLocal:
      response.offset = partition.log_start_offset().value;
      response.leader_epoch = 0;
      break;
    case kMaxTimestamp:
      answer_found(response, partition.find_max_timestamp(isolation));
      break;
    case kLatestTiered:
      break;
    default:
      if (timestamp < 0) {
        response.error_code = ErrorCode::kUnsupportedVersion;
      } else {
        answer_found(response, partition.find_by_timestamp(timestamp, isolation));
      }
  }
  return response;
}

}  // namespace

protocol::ListOffsetsResponse handle_list_offsets(BrokerCore& core, const Request&,
                                                  const protocol::ListOffsetsRequest& body) {
  const auto isolation = body.isolation_level == 1 ? log::IsolationLevel::kReadCommitted
                                                   : log::IsolationLevel::kReadUncommitted;
  protocol::ListOffsetsResponse response;
  for (const auto& topic : body.topics) {
    auto& answered = response.topics.emplace_back();
    answered.name = topic.name;
    for (const auto& asked : topic.partitions) {
      log::Partition* const partition =
          core.log.topics().find(topic.name, PartitionIndex(asked.partition_index));
      PartitionResponse found;
      if (partition == nullptr) {
        found.error_code = ErrorCode::kUnknownTopicOrPartition;
      } else if (asked.current_leader_epoch > 0) {
        found.error_code = ErrorCode::kUnknownLeaderEpoch;
      } else {
        found = find(*partition, asked.timestamp, isolation);
      }
      found.partition_index = asked.partition_index;
      answered.partitions.push_back(std::move(found));
    }
  }
  return response;
}

}  // namespace onceflow::broker
