#include "log/topic_config.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include <fmt/format.h>

#include "base/check.h"

namespace onceflow::log {

namespace {

enum class Effect { kYes, kNo };

struct Key {
  std::string_view name;
  ConfigType type;
  std::string_view default_value;  // Kafka's
  std::string_view broker_key;     // what sets it for all topics; empty if nothing does
  Effect effect = Effect::kNo;
};

// What one override takes beside its text.
constexpr std::size_t kOverrideBytes = 128;

constexpr std::string_view kForEver = "9223372036854775807";

// By name. What has no effect is accepted and kept for tools that set it; nothing here depends on
// it.
constexpr std::array kKeys = {
    Key{"cleanup.policy", ConfigType::kList, "delete", "log.cleanup.policy", Effect::kYes},
    Key{"compression.gzip.level", ConfigType::kInt, "-1", "compression.gzip.level"},
    Key{"compression.lz4.level", ConfigType::kInt, "9", "compression.lz4.level"},
    Key{"compression.type", ConfigType::kString, "producer", "compression.type"},
    Key{"compression.zstd.level", ConfigType::kInt, "3", "compression.zstd.level"},
    Key{"delete.retention.ms", ConfigType::kLong, "86400000", "log.cleaner.delete.retention.ms"},
    Key{"file.delete.delay.ms", ConfigType::kLong, "60000", "log.segment.delete.delay.ms"},
    Key{"flush.messages", ConfigType::kLong, kForEver, "log.flush.interval.messages"},
    Key{"flush.ms", ConfigType::kLong, kForEver, "log.flush.interval.ms"},
    Key{"follower.replication.throttled.replicas", ConfigType::kList, "", ""},
    Key{"index.interval.bytes", ConfigType::kInt, "4096", "log.index.interval.bytes"},
    Key{"leader.replication.throttled.replicas", ConfigType::kList, "", ""},
    Key{"local.retention.bytes", ConfigType::kLong, "-2", "log.local.retention.bytes"},
    Key{"local.retention.ms", ConfigType::kLong, "-2", "log.local.retention.ms"},
    Key{"max.compaction.lag.ms", ConfigType::kLong, kForEver, "log.cleaner.max.compaction.lag.ms"},
    Key{"max.message.bytes", ConfigType::kInt, "1048588", "message.max.bytes", Effect::kYes},
    Key{"message.timestamp.after.max.ms", ConfigType::kLong, "3600000",
        "log.message.timestamp.after.max.ms", Effect::kYes},
    Key{"message.timestamp.before.max.ms", ConfigType::kLong, kForEver,
        "log.message.timestamp.before.max.ms", Effect::kYes},
    Key{"message.timestamp.type", ConfigType::kString, "CreateTime", "log.message.timestamp.type",
        Effect::kYes},
    Key{"min.cleanable.dirty.ratio", ConfigType::kDouble, "0.5", "log.cleaner.min.cleanable.ratio"},
    Key{"min.compaction.lag.ms", ConfigType::kLong, "0", "log.cleaner.min.compaction.lag.ms"},
    Key{"min.insync.replicas", ConfigType::kInt, "1", "min.insync.replicas"},
    Key{"preallocate", ConfigType::kBoolean, "false", "log.preallocate"},
    Key{"remote.storage.enable", ConfigType::kBoolean, "false", ""},
    Key{"retention.bytes", ConfigType::kLong, "-1", "log.retention.bytes", Effect::kYes},
    Key{"retention.ms", ConfigType::kLong, "604800000", "log.retention.ms", Effect::kYes},
    Key{"segment.bytes", ConfigType::kInt, "1073741824", "log.segment.bytes", Effect::kYes},
    Key{"segment.index.bytes", ConfigType::kInt, "10485760", "log.index.size.max.bytes"},
    Key{"segment.jitter.ms", ConfigType::kLong, "0", "log.roll.jitter.ms"},
    Key{"segment.ms", ConfigType::kLong, "604800000", "log.roll.ms"},
    Key{"unclean.leader.election.enable", ConfigType::kBoolean, "false",
        "unclean.leader.election.enable"},
};
static_assert(std::ranges::is_sorted(kKeys, {}, &Key::name));

const Key* find_key(std::string_view name) {
  const auto* const found = std::ranges::lower_bound(kKeys, name, {}, &Key::name);
  return found != kKeys.end() && found->name == name ? found : nullptr;
}

std::unexpected<Error> invalid(std::string_view key, std::string_view value,
                               std::string_view rule) {
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("Invalid value '{}' for configuration {}: {}", value, key, rule));
}

template <typename Integer>
Status parse_number(std::string_view key, std::string_view value, Integer least, Integer& result) {
  Integer number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc{} || end != value.data() + value.size() || number < least) {
    return invalid(
        key, value,
        fmt::format("a whole number from {} to {}", least, std::numeric_limits<Integer>::max()));
  }
  result = number;
  return {};
}

Status parse_cleanup_policy(std::string_view key, std::string_view value, TopicConfig& config) {
  bool does_delete = false;
  bool compact = false;
  for (std::size_t start = 0; start <= value.size();) {
    const std::size_t comma = std::min(value.find(',', start), value.size());
    std::string_view word = value.substr(start, comma - start);
    while (word.starts_with(' ')) {
      word.remove_prefix(1);
    }
    while (word.ends_with(' ')) {
      word.remove_suffix(1);
    }
    if (word == "delete") {
      does_delete = true;
    } else if (word == "compact") {
      compact = true;
    } else {
      return invalid(key, value, "a list of 'delete' and 'compact'");
    }
    start = comma + 1;
  }
  config.cleanup_delete = does_delete;
  config.cleanup_compact = compact;
  return {};
}

Status apply_one(std::string_view key, std::string_view value, TopicConfig& config) {
  if (key == "retention.ms") {
    return parse_number<std::int64_t>(key, value, -1, config.retention_ms);
  }
  if (key == "retention.bytes") {
    return parse_number<std::int64_t>(key, value, -1, config.retention_bytes);
  }
  if (key == "segment.bytes") {
    return parse_number<std::int32_t>(key, value, 14, config.segment_bytes);
  }
  if (key == "max.message.bytes") {
    return parse_number<std::int32_t>(key, value, 0, config.max_message_bytes);
  }
  if (key == "message.timestamp.after.max.ms") {
    return parse_number<std::int64_t>(key, value, 0, config.timestamp_after_max_ms);
  }
  if (key == "message.timestamp.before.max.ms") {
    return parse_number<std::int64_t>(key, value, 0, config.timestamp_before_max_ms);
  }
  if (key == "message.timestamp.type") {
    if (value == "CreateTime") {
      config.message_timestamp_type = TimestampType::kCreateTime;
    } else if (value == "LogAppendTime") {
      config.message_timestamp_type = TimestampType::kLogAppendTime;
    } else {
      return invalid(key, value, "'CreateTime' or 'LogAppendTime'");
    }
    return {};
  }
  if (key == "cleanup.policy") {
    return parse_cleanup_policy(key, value, config);
  }
  if (find_key(key) != nullptr) {
    return {};
  }
  return fail(ErrorCode::kInvalidArgument, fmt::format("Unknown topic config name: {}", key));
}

// Of a key that apply_one takes as it is.
Status check_without_effect(const Key& key, std::string_view value) {
  if (key.name == "compression.type") {
    constexpr std::array<std::string_view, 6> kWords = {"gzip",   "lz4",          "producer",
                                                        "snappy", "uncompressed", "zstd"};
    return std::ranges::find(kWords, value) != kWords.end()
               ? Status{}
               : invalid(key.name, value, "one of gzip, lz4, producer, snappy, uncompressed, zstd");
  }
  std::int32_t small = 0;
  std::int64_t large = 0;
  double fraction = 0;
  switch (key.type) {
    case ConfigType::kBoolean:
      return value == "true" || value == "false" ? Status{}
                                                 : invalid(key.name, value, "true or false");
    case ConfigType::kInt:
      return parse_number<std::int32_t>(key.name, value, -1, small);
    case ConfigType::kLong:
      return parse_number<std::int64_t>(key.name, value, -2, large);
    case ConfigType::kDouble: {
      const auto [end, error] =
          std::from_chars(value.data(), value.data() + value.size(), fraction);
      const bool is_sound = error == std::errc{} && end == value.data() + value.size() &&
                            fraction >= 0 && fraction <= 1;
      return is_sound ? Status{} : invalid(key.name, value, "a number from 0 to 1");
    }
    case ConfigType::kString:
    case ConfigType::kList:
      return {};
  }
  return {};
}

std::string cleanup_policy_text(const TopicConfig& config) {
  if (config.cleanup_compact) {
    return config.cleanup_delete ? "compact,delete" : "compact";
  }
  return config.cleanup_delete ? "delete" : "";
}

// Of a key with effect.
std::string value_text(const TopicConfig& config, std::string_view key) {
  if (key == "cleanup.policy") {
    return cleanup_policy_text(config);
  }
  if (key == "message.timestamp.type") {
    return config.message_timestamp_type == TimestampType::kCreateTime ? "CreateTime"
                                                                       : "LogAppendTime";
  }
  const std::array<std::pair<std::string_view, std::int64_t>, 6> numbers = {
      {{"max.message.bytes", config.max_message_bytes},
       {"message.timestamp.after.max.ms", config.timestamp_after_max_ms},
       {"message.timestamp.before.max.ms", config.timestamp_before_max_ms},
       {"retention.bytes", config.retention_bytes},
       {"retention.ms", config.retention_ms},
       {"segment.bytes", config.segment_bytes}}};
  const auto* const found =
      std::ranges::find(numbers, key, &std::pair<std::string_view, std::int64_t>::first);
  CHECK(found != numbers.end());
  return fmt::to_string(found->second);
}

}  // namespace

Result<TopicConfig> apply_overrides(TopicConfig defaults, const TopicConfigOverrides& overrides) {
  for (const auto& [key, value] : overrides) {
    RETURN_IF_ERROR(apply_one(key, value, defaults));
  }
  return defaults;
}

Result<TopicConfig> check_overrides(TopicConfig defaults, const TopicConfigOverrides& overrides,
                                    const TopicConfigBounds& bounds,
                                    const TopicConfigOverrides& before) {
  for (const auto& [name, value] : overrides) {
    if (const auto stood = before.find(name); stood != before.end() && stood->second == value) {
      continue;
    }
    if (value.size() > bounds.value_bytes_max) {
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("Invalid value for configuration {}: it has {} bytes, and no value "
                              "may have more than {} (topic.config.value.max.bytes)",
                              name, value.size(), bounds.value_bytes_max));
    }
    if (const Key* const key = find_key(name); key != nullptr && key->effect == Effect::kNo) {
      RETURN_IF_ERROR(check_without_effect(*key, value));
    }
    if (std::int32_t bytes = 0; name == "segment.bytes") {
      RETURN_IF_ERROR(parse_number<std::int32_t>(name, value, bounds.segment_bytes_min, bytes));
    }
  }
  return apply_overrides(defaults, overrides);
}

std::size_t bytes_of(const TopicConfigOverrides& overrides) {
  std::size_t bytes = 0;
  for (const auto& [key, value] : overrides) {
    bytes += kOverrideBytes + key.size() + value.size();
  }
  return bytes;
}

bool is_topic_config(std::string_view key) { return find_key(key) != nullptr; }

std::vector<TopicConfigEntry> describe(const TopicConfig& broker_defaults,
                                       const TopicConfigOverrides& overrides) {
  std::vector<TopicConfigEntry> entries;
  entries.reserve(kKeys.size());
  for (const Key& key : kKeys) {
    TopicConfigEntry& entry = entries.emplace_back();
    entry.name = key.name;
    entry.type = key.type;
    entry.has_effect = key.effect == Effect::kYes;
    if (const auto set = overrides.find(entry.name); set != overrides.end()) {
      entry.settings.push_back({entry.name, set->second, ConfigSource::kTopic});
    }
    const std::string of_broker =
        entry.has_effect ? value_text(broker_defaults, key.name) : std::string(key.default_value);
    const std::string broker_key(key.broker_key.empty() ? key.name : key.broker_key);
    if (of_broker != key.default_value) {
      entry.settings.push_back({broker_key, of_broker, ConfigSource::kStaticBroker});
    }
    entry.settings.push_back({broker_key, std::string(key.default_value), ConfigSource::kDefault});
  }
  return entries;
}

std::vector<std::string> without_effect(const TopicConfigOverrides& overrides) {
  std::vector<std::string> names;
  for (const auto& [name, value] : overrides) {
    if (const Key* const key = find_key(name); key != nullptr && key->effect == Effect::kNo) {
      names.push_back(name);
    }
  }
  return names;
}

bool is_list(std::string_view key) {
  const Key* const found = find_key(key);
  return found != nullptr && found->type == ConfigType::kList;
}

Status check_topic_name(std::string_view name) {
  const auto is_legal = [](char letter) {
    return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
           (letter >= '0' && letter <= '9') || letter == '.' || letter == '_' || letter == '-';
  };
  if (name.empty()) {
    return fail(ErrorCode::kInvalidArgument, "the topic name is empty");
  }
  if (name == "." || name == "..") {
    return fail(ErrorCode::kInvalidArgument, "the topic name cannot be '.' or '..'");
  }
  if (name.size() > 249) {
    return fail(ErrorCode::kInvalidArgument, "the topic name is longer than 249 characters");
  }
  if (!std::ranges::all_of(name, is_legal)) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("the topic name '{}' contains characters other than ASCII "
                            "alphanumerics, '.', '_' and '-'",
                            name));
  }
  return {};
}

}  // namespace onceflow::log
