#include "broker/server_properties.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <map>
#include <optional>

#include "broker/properties_file.h"

namespace onceflow::broker {
namespace {

constexpr std::int64_t kInt32Max = std::numeric_limits<std::int32_t>::max();
constexpr std::int64_t kInt64Max = std::numeric_limits<std::int64_t>::max();
// Durations above this would overflow in nanoseconds; it is 290 years.
constexpr std::int64_t kDurationMsMax = kInt64Max / 1'000'000;

// What is wrong with a value, without its place.
using Problem = std::optional<std::string>;

Problem parse_integer(std::string_view value, std::int64_t min, std::int64_t max,
                      std::int64_t& number) {
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error == std::errc() && end == value.data() + value.size() && number >= min &&
      number <= max) {
    return std::nullopt;
  }
  return fmt::format("must be a whole number from {} to {}", min, max);
}

template <typename Integer>
auto integer(std::int64_t min, std::int64_t max, Integer& target) {
  return [=, &target](std::string_view value) -> Problem {
    std::int64_t number = 0;
    const Problem problem = parse_integer(value, min, max, number);
    if (!problem) {
      target = static_cast<Integer>(number);
    }
    return problem;
  };
}

// -1 means for ever where `min` allows it.
auto duration(std::int64_t min_ms, Duration& target, std::int64_t unit_ms = 1) {
  return [=, &target](std::string_view value) -> Problem {
    std::int64_t number = 0;
    const Problem problem = parse_integer(value, min_ms, kDurationMsMax / unit_ms, number);
    if (!problem) {
      target = number < 0 ? Duration::max() / 4 : milliseconds(number * unit_ms);
    }
    return problem;
  };
}

auto retention(std::int64_t unit_ms, std::int64_t& target_ms) {
  return [=, &target_ms](std::string_view value) -> Problem {
    std::int64_t number = 0;
    const Problem problem = parse_integer(value, -1, kInt64Max / unit_ms, number);
    if (!problem) {
      target_ms = number < 0 ? -1 : number * unit_ms;
    }
    return problem;
  };
}

auto boolean(bool& target) {
  return [&target](std::string_view value) -> Problem {
    if (value != "true" && value != "false") {
      return "must be true or false";
    }
    target = value == "true";
    return std::nullopt;
  };
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') {
    text.remove_prefix(1);
  }
  while (!text.empty() && text.back() == ' ') {
    text.remove_suffix(1);
  }
  return text;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t end = text.find(separator);
    parts.push_back(trimmed(text.substr(0, end)));
    if (end == std::string_view::npos) {
      return parts;
    }
    text = text.substr(end + 1);
  }
}

// The first PLAINTEXT listener of "NAME://host:port,..."; an empty host stays empty. CONTROLLER
// listeners belong to KRaft, of which there is none here.
Problem parse_listeners(std::string_view value, std::uint16_t port_min, io::Endpoint& target) {
  for (const std::string_view listener : split(value, ',')) {
    const std::size_t name_end = listener.find("://");
    if (name_end == std::string_view::npos) {
      return fmt::format("'{}' must look like PLAINTEXT://host:port", listener);
    }
    const std::string_view name = listener.substr(0, name_end);
    if (name == "CONTROLLER") {
      continue;
    }
    if (name == "SSL" || name == "SASL_PLAINTEXT" || name == "SASL_SSL") {
      return fmt::format("'{}' is not offered; use PLAINTEXT://host:port", name);
    }
    const std::string_view address = listener.substr(name_end + 3);
    const std::size_t colon = address.rfind(':');
    std::int64_t port = 0;
    if (colon == std::string_view::npos ||
        parse_integer(address.substr(colon + 1), port_min, 65535, port)) {
      return fmt::format("'{}' must end with :port, from {} to 65535", listener, port_min);
    }
    std::string_view host = address.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) {
      host = host.substr(1, host.size() - 2);
    }
    target = {std::string(host), static_cast<std::uint16_t>(port)};
    return std::nullopt;
  }
  return "names no listener for clients; use PLAINTEXT://host:port";
}

// Keys of Kafka's that have no meaning on one node without replication, or none that a user would
// miss. A name that ends in a dot stands for all that begin with it.
constexpr std::array<std::string_view, 60> kIgnored = {
    "advertised.host.name",
    "alter.config.policy.class.name",
    "background.threads",
    "compression.type",
    "config.providers",
    "confluent.",
    "controller.",
    "controlled.shutdown.",
    "default.replication.factor",
    "delete.topic.enable",
    "early.start.listeners",
    "fetch.purgatory.purge.interval.requests",
    "group.consumer.",
    "group.coordinator.",
    "group.share.",
    "initial.broker.registration.timeout.ms",
    "inter.broker.listener.name",
    "inter.broker.protocol.version",
    "leader.imbalance.check.interval.seconds",
    "listener.security.protocol.map",
    "log.cleaner.",
    "log.flush.interval.messages",
    "log.flush.interval.ms",
    "log.flush.offset.checkpoint.interval.ms",
    "log.flush.scheduler.interval.ms",
    "log.flush.start.offset.checkpoint.interval.ms",
    "log.index.interval.bytes",
    "log.index.size.max.bytes",
    "log.message.downconversion.enable",
    "log.message.format.version",
    "log.preallocate",
    "log.roll.",
    "log.segment.delete.delay.ms",
    "max.connections.per.ip",
    "max.incremental.fetch.session.cache.slots",
    "metadata.",
    "metric.reporters",
    "metrics.",
    "min.insync.replicas",
    "num.io.threads",
    "num.network.threads",
    "num.recovery.threads.per.data.dir",
    "num.replica.",
    "offsets.commit.",
    "offsets.load.buffer.size",
    "offsets.retention.",
    "offsets.topic.",
    "process.roles",
    "producer.id.expiration.check.interval.ms",
    "queued.max.requests",
    "replica.",
    "share.",
    "socket.receive.buffer.bytes",
    "socket.send.buffer.bytes",
    "socket.listen.backlog.size",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms",
    "transaction.state.log.",
    "transactional.id.expiration.ms",  // a transactional id is never forgotten here
    "unclean.leader.election.enable",
    "zookeeper."};

bool is_ignored(std::string_view key) {
  return std::ranges::any_of(kIgnored, [&](std::string_view ignored) {
    return ignored.ends_with('.') ? key.starts_with(ignored) : key == ignored;
  });
}

// The keys that are obeyed, each with what its value does.
class Keys {
 public:
  explicit Keys(BrokerOptions& options) : options_(options) {
    add_node();
    add_topics();
    add_connections();
    add_coordinators();
  }

  bool contains(const std::string& key) const { return keys_.contains(key); }
  Problem set(const std::string& key, std::string_view value) const { return keys_.at(key)(value); }

 private:
  using Setter = std::function<Problem(std::string_view)>;

  void add_node() {
    const auto directory = [this](std::string_view value) -> Problem {
      if (value.empty() || value.contains(',')) {
        return "must name one directory; several would need several disks' order of syncs";
      }
      options_.log.directory = std::string(value);
      return std::nullopt;
    };
    keys_["node.id"] = integer(0, kInt32Max, options_.node_id);
    keys_["broker.id"] = integer(0, kInt32Max, options_.node_id);
    keys_["log.dir"] = directory;
    keys_["log.dirs"] = directory;
    keys_["listeners"] = [this](std::string_view value) {
      return parse_listeners(value, 0, options_.server.listen);
    };
    keys_["advertised.listeners"] = [this](std::string_view value) {
      return parse_listeners(value, 1, options_.advertised);
    };
    keys_["log.free.bytes.min"] = integer(0, kInt64Max, options_.log.free_bytes_min);
    keys_["log.dir.mode"] = [this](std::string_view value) -> Problem {
      std::uint32_t mode = 0;
      const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), mode, 8);
      if (error != std::errc() || end != value.data() + value.size() || (mode & 0700U) != 0700U ||
          mode > 0777U) {
        return "must be the mode of a directory that its owner can use, as 0700, 0750 or 0755";
      }
      options_.log.directory_mode = mode;
      return std::nullopt;
    };
    keys_["log.flush"] = [this](std::string_view value) -> Problem {
      if (value != "sync" && value != "os") {
        return "must be sync (acknowledged is fsynced) or os (acknowledged is in the page cache, "
               "as Kafka does)";
      }
      options_.log.flush = value == "sync" ? log::FlushMode::kDurable : log::FlushMode::kOs;
      return std::nullopt;
    };
  }

  void add_topics() {
    log::TopicConfig& topic = options_.log.topic_defaults;
    keys_["num.partitions"] = integer(1, 100'000, options_.num_partitions);
    keys_["partitions.max.count"] = integer(1, 10'000'000, options_.log.partitions_max);
    keys_["segment.bytes.min"] =
        integer(14, kInt32Max, options_.log.config_bounds.segment_bytes_min);
    keys_["topic.config.value.max.bytes"] =
        integer(64, kInt32Max, options_.log.config_bounds.value_bytes_max);
    keys_["topic.configs.max.bytes"] = integer(1024, kInt64Max, options_.log.config_bytes_max);
    keys_["auto.create.topics.enable"] = boolean(options_.auto_create_topics);
    keys_["log.segment.bytes"] = integer(1024, kInt32Max, topic.segment_bytes);
    keys_["log.retention.ms"] = retention(1, topic.retention_ms);
    keys_["log.retention.minutes"] = retention(60'000, topic.retention_ms);
    keys_["log.retention.hours"] = retention(3'600'000, topic.retention_ms);
    keys_["log.retention.bytes"] = integer(-1, kInt64Max, topic.retention_bytes);
    keys_["log.retention.check.interval.ms"] = duration(1, options_.log.retention_check_interval);
    keys_["message.max.bytes"] = integer(0, kInt32Max, topic.max_message_bytes);
    keys_["log.message.timestamp.after.max.ms"] =
        integer(0, kInt64Max, topic.timestamp_after_max_ms);
    keys_["log.message.timestamp.before.max.ms"] =
        integer(0, kInt64Max, topic.timestamp_before_max_ms);
    keys_["log.message.timestamp.type"] = [&topic](std::string_view value) -> Problem {
      if (value != "CreateTime" && value != "LogAppendTime") {
        return "must be CreateTime or LogAppendTime";
      }
      topic.message_timestamp_type = value == "CreateTime" ? log::TimestampType::kCreateTime
                                                           : log::TimestampType::kLogAppendTime;
      return std::nullopt;
    };
    keys_["log.cleanup.policy"] = [&topic](std::string_view value) -> Problem {
      bool does_delete = false;
      bool does_compact = false;
      for (const std::string_view policy : split(value, ',')) {
        if (policy != "delete" && policy != "compact") {
          return "must be delete, compact, or both";
        }
        (policy == "delete" ? does_delete : does_compact) = true;
      }
      topic.cleanup_delete = does_delete;
      topic.cleanup_compact = does_compact;
      return std::nullopt;
    };
  }

  void add_connections() {
    ServerOptions& server = options_.server;
    keys_["connections.max.idle.ms"] = duration(-1, server.idle_max);
    keys_["max.connections"] = integer(1, kInt32Max, server.connection_count_max);
    keys_["socket.request.max.bytes"] = integer(1024, kInt32Max, server.request_bytes_max);
    keys_["queued.max.request.bytes"] = [&server](std::string_view value) -> Problem {
      return value == "-1" ? Problem()
                           : integer(16 << 20, kInt64Max, server.memory_bytes_max)(value);
    };
    keys_["fetch.max.bytes"] = integer(1024, kInt32Max, options_.fetch_bytes_max);
  }

  void add_coordinators() {
    coordinator::GroupOptions& groups = options_.coordinator.groups;
    keys_["group.initial.rebalance.delay.ms"] = duration(0, groups.initial_rebalance_delay);
    keys_["group.min.session.timeout.ms"] = duration(1, groups.session_timeout_min);
    keys_["group.max.session.timeout.ms"] = duration(1, groups.session_timeout_max);
    keys_["group.max.size"] = integer(1, kInt32Max, groups.group_size_max);
    keys_["group.max.count"] = integer(1, kInt32Max, groups.group_count_max);
    keys_["group.id.max.bytes"] = integer(1, 32767, groups.id_bytes_max);
    keys_["group.member.max.bytes"] = integer(1024, kInt32Max, groups.member_bytes_max);
    keys_["group.max.bytes"] = integer(1024, kInt32Max, groups.group_bytes_max);
    keys_["group.members.max.bytes"] = integer(1024, kInt64Max, groups.membership_bytes_max);
    keys_["group.offsets.max.bytes"] = integer(1024, kInt64Max, groups.offset_bytes_max);
    keys_["transactional.id.max.count"] =
        integer(1, kInt32Max, options_.coordinator.transactions.transactional_id_count_max);
    keys_["transactional.id.max.bytes"] =
        integer(1, 32767, options_.coordinator.transactions.transactional_id_bytes_max);
    keys_["transaction.max.bytes"] =
        integer(1024, kInt32Max, options_.coordinator.transactions.transaction_bytes_max);
    keys_["transactions.max.bytes"] =
        integer(1024, kInt64Max, options_.coordinator.transactions.transactions_bytes_max);
    keys_["producer.states.max.count"] = integer(1, kInt32Max, options_.log.producer_states_max);
    keys_["offset.metadata.max.bytes"] = integer(0, 32767, groups.offset_metadata_bytes_max);
    keys_["transaction.max.timeout.ms"] =
        duration(1, options_.coordinator.transactions.timeout_max);
    keys_["producer.id.expiration.ms"] = duration(1, options_.log.producer_id_expiration);
  }

  BrokerOptions& options_;
  std::map<std::string, Setter, std::less<>> keys_;
};

}  // namespace

void ServerProperties::add_file(std::string_view text, std::string name) {
  for (Property& property : parse_properties(text)) {
    entries_.push_back({std::move(property.key), std::move(property.value),
                        fmt::format("{}:{}", name, property.line)});
  }
}

Status ServerProperties::add_override(std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    return fail(onceflow::ErrorCode::kInvalidArgument,
                fmt::format("--override {}: must be key=value", text));
  }
  set(std::string(trimmed(text.substr(0, equals))), std::string(trimmed(text.substr(equals + 1))),
      "--override");
  return {};
}

void ServerProperties::set(std::string key, std::string value, std::string origin) {
  entries_.push_back({std::move(key), std::move(value), std::move(origin)});
}

const ServerProperties::Entry* ServerProperties::last(std::string_view key) const {
  const Entry* found = nullptr;
  for (const Entry& entry : entries_) {
    found = entry.key == key ? &entry : found;
  }
  return found;
}

Status ServerProperties::check_session_timeouts(const BrokerOptions& options) const {
  const coordinator::GroupOptions& groups = options.coordinator.groups;
  if (groups.session_timeout_min <= groups.session_timeout_max) {
    return {};
  }
  const auto ms = [](Duration duration) {
    return std::chrono::duration_cast<milliseconds>(duration).count();
  };
  const auto origin = [this](std::string_view key) -> std::string {
    const Entry* const entry = last(key);
    return entry == nullptr ? "default" : entry->origin;
  };
  return fail(
      onceflow::ErrorCode::kInvalidArgument,
      fmt::format("group.max.session.timeout.ms={} ({}) is below group.min.session.timeout.ms={} "
                  "({}), so that no consumer could join a group; set "
                  "group.min.session.timeout.ms to {} or less, or raise the maximum",
                  ms(groups.session_timeout_max), origin("group.max.session.timeout.ms"),
                  ms(groups.session_timeout_min), origin("group.min.session.timeout.ms"),
                  ms(groups.session_timeout_max)));
}

Result<ServerProperties::Applied> ServerProperties::apply() const {
  Applied applied;
  applied.options.log.directory = "./onceflow-data";
  const Keys keys(applied.options);
  std::string ignored;
  for (const Entry& entry : entries_) {
    if (last(entry.key) != &entry) {
      continue;
    }
    if (keys.contains(entry.key)) {
      if (const Problem problem = keys.set(entry.key, entry.value)) {
        return fail(onceflow::ErrorCode::kInvalidArgument,
                    fmt::format("{}: {}={}: {}", entry.origin, entry.key, entry.value, *problem));
      }
    } else if (is_ignored(entry.key)) {
      ignored += (ignored.empty() ? "" : ", ") + entry.key;
    } else {
      applied.warnings.push_back(
          fmt::format("{}: unknown key '{}' is ignored", entry.origin, entry.key));
    }
  }
  RETURN_IF_ERROR(check_session_timeouts(applied.options));
  // Of the three units Kafka obeys the finest, wherever it stands.
  for (const auto* key : {"log.retention.hours", "log.retention.minutes", "log.retention.ms"}) {
    if (const Entry* const entry = last(key)) {
      keys.set(key, entry->value);
    }
  }
  if (const log::LogOptions& log = applied.options.log;
      log.topic_defaults.segment_bytes < log.config_bounds.segment_bytes_min) {
    return fail(onceflow::ErrorCode::kInvalidArgument,
                fmt::format("{}: log.segment.bytes={}: must be at least {} (segment.bytes.min), as "
                            "with Kafka: each segment is a file of its own",
                            last("log.segment.bytes") != nullptr ? last("log.segment.bytes")->origin
                                                                 : "default",
                            log.topic_defaults.segment_bytes, log.config_bounds.segment_bytes_min));
  }
  if (is_every_address(applied.options.server.listen.host) &&
      applied.options.advertised.host.empty()) {
    applied.warnings.push_back(
        "listens on every address, but clients are told 'localhost'; for those on other machines "
        "set advertised.listeners=PLAINTEXT://host:port");
  }
  if (applied.options.log.topic_defaults.cleanup_compact) {
    applied.warnings.push_back("log.cleanup.policy=compact is kept, and nothing is compacted here");
  }
  if (!ignored.empty()) {
    applied.warnings.push_back("without effect here, and ignored: " + ignored);
  }
  return applied;
}

}  // namespace onceflow::broker
