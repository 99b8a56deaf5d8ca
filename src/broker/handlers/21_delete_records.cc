// DeleteRecords: moves the start of a partition up to an offset, at most to the last stable one:
// the data of an open transaction stays. Stateless; on the broker's thread.
#include "broker/handlers/handlers.h"

namespace onceflow::broker {
namespace {

using protocol::ErrorCode;
using PartitionResponse = protocol::DeleteRecordsResponse::Partition;

void remove(BrokerCore& core, const std::string& topic, std::int64_t offset,
            PartitionResponse& response) {
  response.low_watermark = -1;
  log::Partition* const partition =
      core.log.topics().find(topic, PartitionIndex(response.partition_index));
  if (partition == nullptr) {
    response.error_code = ErrorCode::kUnknownTopicOrPartition;
    return;
  }
  if (!partition->topic().config.cleanup_delete) {
    response.error_code =
        ErrorCode::kPolicyViolation;  // Kafka's, of a topic that is compacted only
    return;
  }
  const auto moved =
      core.changing([&] { return core.log.delete_records(*partition, Offset(offset)); });
  if (!moved) {
    response.error_code = moved.error();
    return;
  }
  response.low_watermark = partition->log_start_offset().value;
}

}  // namespace

protocol::DeleteRecordsResponse handle_delete_records(BrokerCore& core, const Request&,
                                                      const protocol::DeleteRecordsRequest& body) {
  protocol::DeleteRecordsResponse response;
  for (const auto& topic : body.topics) {
    auto& answered = response.topics.emplace_back();
    answered.name = topic.name;
    for (const auto& partition : topic.partitions) {
      auto& one = answered.partitions.emplace_back();
      one.partition_index = partition.partition_index;
      if (partition.is_repeated) {
        one.low_watermark = -1;
        one.error_code = ErrorCode::kInvalidRequest;
      } else {
        remove(core, topic.name, partition.offset, one);
      }
    }
  }
  return response;
}

}  // namespace onceflow::broker
