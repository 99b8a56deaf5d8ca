// Options of the client, under Kafka's own keys: `request.timeout.ms` is `request_timeout`. The
// same keys may be set as text, as they come from a pipeline file or a properties file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "io/network.h"
#include "protocol/compression.h"

namespace onceflow::client {

enum class IsolationLevel : std::int8_t { kReadUncommitted = 0, kReadCommitted = 1 };

struct ClientOptions {
  std::vector<io::Endpoint> bootstrap_servers;      ///< bootstrap.servers
  std::string client_id = "onceflow";               ///< client.id
  Duration request_timeout = seconds(30);           ///< request.timeout.ms
  Duration retry_backoff = milliseconds(20);        ///< retry.backoff.ms; doubles up to the max
  Duration retry_backoff_max = milliseconds(1000);  ///< retry.backoff.max.ms
  Duration connection_setup_timeout = seconds(10);  ///< socket.connection.setup.timeout.ms
  Duration metadata_max_age = seconds(300);         ///< metadata.max.age.ms
  bool allow_auto_create_topics = true;             ///< allow.auto.create.topics
  /// Answers above this are refused before memory is taken for them.
  std::size_t response_bytes_max = std::size_t{512} << 20;
};

struct ProducerOptions {
  Duration linger = milliseconds(5);                     ///< linger.ms
  std::size_t batch_bytes_max = std::size_t{256} << 10;  ///< batch.size
  std::size_t request_bytes_max = std::size_t{4} << 20;  ///< max.request.size
  /// max.request.size was not set: a request may be as large as the largest batch that a topic
  /// takes.
  bool request_bytes_follow_topics = true;
  std::size_t buffer_bytes_max = std::size_t{32} << 20;                        ///< buffer.memory
  protocol::CompressionCodec compression = protocol::CompressionCodec::kNone;  ///< compression.type
  Duration delivery_timeout = seconds(120);  ///< delivery.timeout.ms
  /// max.in.flight.requests.per.connection; never above 5, what a broker remembers of a producer.
  int in_flight_requests_max = 5;
};

struct TransactionOptions {
  std::string transactional_id;                ///< transactional.id
  Duration transaction_timeout = seconds(60);  ///< transaction.timeout.ms
  /// Speak version 1 even where the cluster has version 2. For tests of the other road.
  bool force_version_1 = false;
};

struct FetchOptions {
  IsolationLevel isolation_level = IsolationLevel::kReadCommitted;  ///< isolation.level
  Duration fetch_wait_max = milliseconds(500);                      ///< fetch.max.wait.ms
  std::int32_t fetch_bytes_min = 1;                                 ///< fetch.min.bytes
  std::int32_t fetch_bytes_max = 16 << 20;     ///< fetch.max.bytes, of one answer
  std::int32_t partition_bytes_max = 4 << 20;  ///< max.partition.fetch.bytes
  bool check_crcs = true;                      ///< check.crcs
};

struct GroupOptions {
  std::string group_id;                          ///< group.id
  std::optional<std::string> group_instance_id;  ///< group.instance.id; set: static member
  std::string member_note;  ///< shown to whoever describes the group: the user data of the member
  Duration session_timeout = seconds(45);    ///< session.timeout.ms
  Duration heartbeat_interval = seconds(3);  ///< heartbeat.interval.ms
  /// max.poll.interval.ms: how long the owner may take to give up its partitions in a rebalance.
  Duration rebalance_timeout = seconds(60);
};

/// Sets one option by Kafka's key. kNotFound: no such key here; kInvalidArgument: the value is
/// against the rules, and the text says which. Durations are whole milliseconds.
Status set_option(ClientOptions& options, std::string_view key, std::string_view value);
Status set_option(ProducerOptions& options, std::string_view key, std::string_view value);
Status set_option(TransactionOptions& options, std::string_view key, std::string_view value);
Status set_option(FetchOptions& options, std::string_view key, std::string_view value);
Status set_option(GroupOptions& options, std::string_view key, std::string_view value);

}  // namespace onceflow::client
