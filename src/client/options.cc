// Options by Kafka's keys.
#include "client/options.h"

#include <fmt/format.h>

#include <limits>

#include "base/parse_number.h"

namespace onceflow::client {

namespace {

std::unexpected<Error> invalid(std::string_view key, std::string_view value,
                               std::string_view rule) {
  return fail(ErrorCode::kInvalidArgument, fmt::format("{} = '{}': {}", key, value, rule));
}

std::unexpected<Error> unknown(std::string_view key) {
  return fail(ErrorCode::kNotFound, fmt::format("'{}' is no option of this kind", key));
}

Result<std::int64_t> parse_integer(std::string_view key, std::string_view value, std::int64_t min,
                                   std::int64_t max) {
  const auto number = parse_number<std::int64_t>(value);
  if (!number || *number < min || *number > max) {
    return invalid(key, value, fmt::format("must be a whole number from {} to {}", min, max));
  }
  return *number;
}

Status set_duration(Duration& option, std::string_view key, std::string_view value) {
  const auto ms = parse_integer(key, value, 0, std::numeric_limits<std::int32_t>::max());
  RETURN_IF_ERROR(ms);
  option = milliseconds(*ms);
  return {};
}

template <typename Integer>
Status set_integer(Integer& option, std::string_view key, std::string_view value, std::int64_t min,
                   std::int64_t max) {
  const auto number = parse_integer(key, value, min, max);
  RETURN_IF_ERROR(number);
  option = static_cast<Integer>(*number);
  return {};
}

Status set_bool(bool& option, std::string_view key, std::string_view value) {
  if (value != "true" && value != "false") {
    return invalid(key, value, "must be true or false");
  }
  option = value == "true";
  return {};
}

Status set_endpoints(std::vector<io::Endpoint>& option, std::string_view key,
                     std::string_view value) {
  std::vector<io::Endpoint> endpoints;
  for (std::string_view rest = value; !rest.empty();) {
    const std::size_t comma = rest.find(',');
    std::string_view one = rest.substr(0, comma);
    rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
    while (one.starts_with(' ')) {
      one.remove_prefix(1);
    }
    while (one.ends_with(' ')) {
      one.remove_suffix(1);
    }
    auto endpoint = io::parse_endpoint(one);
    if (!endpoint) {
      return invalid(key, value, endpoint.error().text);
    }
    endpoints.push_back(std::move(*endpoint));
  }
  if (endpoints.empty()) {
    return invalid(key, value, "must be host:port, or several with commas between");
  }
  option = std::move(endpoints);
  return {};
}

constexpr std::int64_t kInt32Max = std::numeric_limits<std::int32_t>::max();

}  // namespace

Status set_option(ClientOptions& options, std::string_view key, std::string_view value) {
  if (key == "bootstrap.servers") {
    return set_endpoints(options.bootstrap_servers, key, value);
  }
  if (key == "client.id") {
    options.client_id = value;
    return {};
  }
  if (key == "request.timeout.ms") {
    return set_duration(options.request_timeout, key, value);
  }
  if (key == "retry.backoff.ms") {
    return set_duration(options.retry_backoff, key, value);
  }
  if (key == "retry.backoff.max.ms") {
    return set_duration(options.retry_backoff_max, key, value);
  }
  if (key == "socket.connection.setup.timeout.ms") {
    return set_duration(options.connection_setup_timeout, key, value);
  }
  if (key == "metadata.max.age.ms") {
    return set_duration(options.metadata_max_age, key, value);
  }
  if (key == "allow.auto.create.topics") {
    return set_bool(options.allow_auto_create_topics, key, value);
  }
  return unknown(key);
}

Status set_option(ProducerOptions& options, std::string_view key, std::string_view value) {
  if (key == "linger.ms") {
    return set_duration(options.linger, key, value);
  }
  if (key == "batch.size") {
    return set_integer(options.batch_bytes_max, key, value, 1, kInt32Max);
  }
  if (key == "max.request.size") {
    options.request_bytes_follow_topics = false;
    return set_integer(options.request_bytes_max, key, value, 1, kInt32Max);
  }
  if (key == "buffer.memory") {
    return set_integer(options.buffer_bytes_max, key, value, 1, std::int64_t{1} << 40);
  }
  if (key == "compression.type") {
    const auto codec = protocol::parse_compression_codec(value);
    if (!codec) {
      return invalid(key, value, "must be none, gzip, snappy, lz4 or zstd");
    }
    options.compression = *codec;
    return {};
  }
  if (key == "delivery.timeout.ms") {
    return set_duration(options.delivery_timeout, key, value);
  }
  if (key == "max.in.flight.requests.per.connection") {
    return set_integer(options.in_flight_requests_max, key, value, 1, 5);
  }
  return unknown(key);
}

Status set_option(TransactionOptions& options, std::string_view key, std::string_view value) {
  if (key == "transactional.id") {
    if (value.empty()) {
      return invalid(key, value, "must not be empty");
    }
    options.transactional_id = value;
    return {};
  }
  if (key == "transaction.timeout.ms") {
    return set_duration(options.transaction_timeout, key, value);
  }
  return unknown(key);
}

Status set_option(FetchOptions& options, std::string_view key, std::string_view value) {
  if (key == "isolation.level") {
    if (value != "read_committed" && value != "read_uncommitted") {
      return invalid(key, value, "must be read_committed or read_uncommitted");
    }
    options.isolation_level = value == "read_committed" ? IsolationLevel::kReadCommitted
                                                        : IsolationLevel::kReadUncommitted;
    return {};
  }
  if (key == "fetch.max.wait.ms") {
    return set_duration(options.fetch_wait_max, key, value);
  }
  if (key == "fetch.min.bytes") {
    return set_integer(options.fetch_bytes_min, key, value, 0, kInt32Max);
  }
  if (key == "fetch.max.bytes") {
    return set_integer(options.fetch_bytes_max, key, value, 1, kInt32Max);
  }
  if (key == "max.partition.fetch.bytes") {
    return set_integer(options.partition_bytes_max, key, value, 1, kInt32Max);
  }
  if (key == "check.crcs") {
    return set_bool(options.check_crcs, key, value);
  }
  return unknown(key);
}

Status set_option(GroupOptions& options, std::string_view key, std::string_view value) {
  if (key == "group.id") {
    if (value.empty()) {
      return invalid(key, value, "must not be empty");
    }
    options.group_id = value;
    return {};
  }
  if (key == "group.instance.id") {
    options.group_instance_id = value;
    return {};
  }
  if (key == "session.timeout.ms") {
    return set_duration(options.session_timeout, key, value);
  }
  if (key == "heartbeat.interval.ms") {
    return set_duration(options.heartbeat_interval, key, value);
  }
  if (key == "max.poll.interval.ms") {
    return set_duration(options.rebalance_timeout, key, value);
  }
  return unknown(key);
}

}  // namespace onceflow::client
