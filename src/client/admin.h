// Admin: topics, offsets and groups, asked for by name.
//
// Owned by whoever asks; runs on the cluster's scheduler. Every call tries again, with back-off, on
// what is retriable until its deadline.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/task.h"
#include "client/cluster.h"
#include "client/group_metadata.h"
#include "client/options.h"

namespace onceflow::client {

struct NewTopic {
  std::string name;
  std::int32_t partition_count = 1;
  std::int16_t replication_factor = -1;  ///< -1: the broker's default
  std::vector<std::pair<std::string, std::string>> configs;
};

/// The configs of a topic that keeps every record for ever, whatever the cluster's defaults are; or
/// with `cleanup_policy` "compact" the last record of every key.
std::vector<std::pair<std::string, std::string>> kept_for_ever(
    std::string cleanup_policy = "delete");

struct ListedOffset {
  TopicPartition partition;
  Offset offset = kNoOffset;
  std::int64_t timestamp_ms = -1;
};

struct GroupMemberDescription {
  std::string member_id;
  std::string group_instance_id;
  std::string client_id;
  std::string client_host;
  std::vector<TopicPartition> assignment;
  /// GroupOptions::member_note of an onceflow worker; empty while the group rebalances.
  std::string note;
};

struct GroupDescription {
  std::string group_id;
  std::string state;
  std::string protocol_type;
  std::string protocol;
  std::vector<GroupMemberDescription> members;
};

class Admin {
 public:
  explicit Admin(std::shared_ptr<Cluster> cluster);

  /// kAlreadyExists; kRefused with the broker's words. Returns when the topic can be produced to.
  Task<Status> create_topic(NewTopic topic, MonotonicTime deadline);
  /// kNotFound. Returns when the brokers know of it as well as the controller.
  Task<Status> delete_topic(std::string name, MonotonicTime deadline);
  /// kNotFound.
  Task<Result<TopicMetadata>> describe_topic(std::string name, MonotonicTime deadline);
  /// What a topic is set to, by Kafka's key. kNotFound: the broker does not say.
  Task<Result<std::string>> topic_config(std::string topic, std::string key,
                                         MonotonicTime deadline);
  /// The topic's max.message.bytes: no larger batch is taken. kNotFound: the broker does not say.
  Task<Result<std::size_t>> message_bytes_max(std::string topic, MonotonicTime deadline);
  Task<Result<std::vector<std::string>>> list_topics(MonotonicTime deadline);

  static constexpr std::int64_t kEarliest = -2;
  static constexpr std::int64_t kLatest = -1;
  /// Per partition: the first offset with a timestamp at or after `timestamp_ms` (kNoOffset if
  /// there is none), or kEarliest, or kLatest, which is the last stable offset under
  /// read_committed.
  Task<Result<std::vector<ListedOffset>>> list_offsets(std::vector<TopicPartition> partitions,
                                                       std::int64_t timestamp_ms,
                                                       IsolationLevel isolation_level,
                                                       MonotonicTime deadline);

  Task<Result<GroupDescription>> describe_group(std::string group_id, MonotonicTime deadline);
  /// kRefused while it has members; kNotFound.
  Task<Status> delete_group(std::string group_id, MonotonicTime deadline);
  Task<Result<std::vector<CommittedOffset>>> committed(std::string group_id,
                                                       std::vector<TopicPartition> partitions,
                                                       MonotonicTime deadline);

 private:
  Task<Result<ConnectionPointer>> controller_connection(MonotonicTime deadline);
  Task<Status> wait_until_unknown(std::string name, MonotonicTime deadline);
  Task<Result<ListedOffset>> list_offset(TopicPartition partition, std::int64_t timestamp_ms,
                                         IsolationLevel isolation_level, MonotonicTime deadline);

  std::shared_ptr<Cluster> cluster_;
  Channel channel_;
};

}  // namespace onceflow::client
