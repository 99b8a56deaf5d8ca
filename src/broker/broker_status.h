// BrokerStatus: what a running broker says of itself in sum, for /status and /metrics. Values,
// whose number does not grow with what the broker has: partitions and groups are in the
// StatusMirror.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
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

inline constexpr std::size_t kOpenTransactionsTold = 100;

struct OpenTransaction {
  std::string transactional_id;
  std::int64_t producer_id = -1;
  std::int16_t producer_epoch = -1;
  Duration age{};
  Duration timeout{};
  std::size_t partition_count = 0;
  std::size_t group_count = 0;
};

/// What clients have put into the log's state, against its bounds (docs/operations.md).
struct StateUse {
  std::string_view state;  ///< the label of the gauges
  std::uint64_t used = 0;
  std::uint64_t limit = 0;
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
  std::size_t open_transaction_count = 0;
  /// Those that time out first, by transactional id; at most kOpenTransactionsTold.
  std::vector<OpenTransaction> open_transactions;
  std::vector<StateUse> state;
  /// Of the loop; filled in by its owner.
  Duration longest_turn_lately{};
  Duration longest_turn_ever{};
};

}  // namespace onceflow::broker
