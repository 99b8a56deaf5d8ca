// BrokerStatus: what a running broker says of itself, for /status and /metrics. Values.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/histogram.h"
#include "base/time.h"
#include "broker/connection.h"
#include "log/log.h"
#include "protocol/api_key.h"
#include "protocol/error_code.h"

namespace onceflow::broker {

struct ApiStatistics {
  std::uint64_t requests = 0;
  std::uint64_t request_bytes = 0;
  std::map<protocol::ErrorCode, std::uint64_t> errors;
};

/// Counters since the start, kept by the handlers.
struct BrokerStatistics {
  std::map<protocol::ApiKey, ApiStatistics> apis;
  std::uint64_t produced_batches = 0;
  std::uint64_t produced_records = 0;
  std::uint64_t produced_bytes = 0;
  std::uint64_t duplicate_batches = 0;
  std::uint64_t fetched_bytes = 0;
  std::uint64_t committed_transactions = 0;
  std::uint64_t aborted_transactions = 0;
  Histogram produce_latency;  ///< request read to answer durable
  Histogram commit_latency;   ///< of EndTxn, likewise
};

struct OpenTransaction {
  std::string transactional_id;
  std::int64_t producer_id = -1;
  std::int16_t producer_epoch = -1;
  Duration age{};
  Duration timeout{};
  std::size_t partition_count = 0;
  std::size_t group_count = 0;
};

struct PartitionStatus {
  std::string topic;
  std::int32_t partition = 0;
  std::int64_t log_start_offset = 0;
  std::int64_t high_watermark = 0;
  std::int64_t last_stable_offset = 0;
  std::uint64_t size_bytes = 0;
};

struct GroupLag {
  std::string group_id;
  std::string topic;
  std::int32_t partition = 0;
  std::int64_t committed_offset = -1;
  std::int64_t lag = 0;  ///< to the last stable offset
};

struct GroupStatus {
  std::string group_id;
  std::string state;
  std::size_t member_count = 0;
};

struct BrokerStatus {
  std::string cluster_id;
  std::int32_t node_id = 0;
  Duration uptime{};
  ServerStatistics server;
  log::Log::Statistics log;
  BrokerStatistics counters;
  std::size_t topic_count = 0;
  std::size_t parked_fetches = 0;
  std::vector<OpenTransaction> open_transactions;  ///< by transactional id
  std::vector<PartitionStatus> partitions;         ///< by topic and number
  std::vector<GroupStatus> groups;
  std::vector<GroupLag> lags;
};

}  // namespace onceflow::broker
