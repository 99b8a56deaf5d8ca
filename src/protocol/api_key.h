// The API keys of the Kafka protocol that onceflow speaks. Values, stateless.
#pragma once

#include <cstdint>
#include <string_view>

namespace onceflow::protocol {

/// May hold a number that is not listed: a peer may ask for anything.
enum class ApiKey : std::int16_t {
  kProduce = 0,
  kFetch = 1,
  kListOffsets = 2,
  kMetadata = 3,
  kOffsetCommit = 8,
  kOffsetFetch = 9,
  kFindCoordinator = 10,
  kJoinGroup = 11,
  kHeartbeat = 12,
  kLeaveGroup = 13,
  kSyncGroup = 14,
  kDescribeGroups = 15,
  kListGroups = 16,
  kApiVersions = 18,
  kCreateTopics = 19,
  kDeleteTopics = 20,
  kInitProducerId = 22,
  kOffsetForLeaderEpoch = 23,
  kAddPartitionsToTxn = 24,
  kAddOffsetsToTxn = 25,
  kEndTxn = 26,
  kTxnOffsetCommit = 28,
  kDescribeConfigs = 32,
  kCreatePartitions = 37,
  kDeleteGroups = 42,
  kDescribeCluster = 60,
  kDescribeProducers = 61,
  kDescribeTransactions = 65,
  kListTransactions = 66,
};

/// Kafka's name, as "Produce"; "Unknown" for a key not listed.
std::string_view to_string(ApiKey key);

}  // namespace onceflow::protocol
