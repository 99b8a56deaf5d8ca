#include "log/topic_config.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include <fmt/format.h>

namespace onceflow::log {

namespace {

// Accepted and kept for tools that set them; nothing here depends on them.
constexpr std::array<std::string_view, 21> kKeysWithoutEffect = {"compression.type",
                                                                 "compression.gzip.level",
                                                                 "compression.lz4.level",
                                                                 "compression.zstd.level",
                                                                 "delete.retention.ms",
                                                                 "file.delete.delay.ms",
                                                                 "flush.messages",
                                                                 "flush.ms",
                                                                 "index.interval.bytes",
                                                                 "local.retention.bytes",
                                                                 "local.retention.ms",
                                                                 "max.compaction.lag.ms",
                                                                 "message.timestamp.after.max.ms",
                                                                 "message.timestamp.before.max.ms",
                                                                 "min.cleanable.dirty.ratio",
                                                                 "min.compaction.lag.ms",
                                                                 "min.insync.replicas",
                                                                 "preallocate",
                                                                 "segment.index.bytes",
                                                                 "segment.ms",
                                                                 "unclean.leader.election.enable"};

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
  if (std::ranges::find(kKeysWithoutEffect, key) != kKeysWithoutEffect.end()) {
    return {};
  }
  return fail(ErrorCode::kInvalidArgument, fmt::format("Unknown topic config name: {}", key));
}

std::string cleanup_policy_text(const TopicConfig& config) {
  if (config.cleanup_compact) {
    return config.cleanup_delete ? "compact,delete" : "compact";
  }
  return config.cleanup_delete ? "delete" : "";
}

}  // namespace

Result<TopicConfig> apply_overrides(TopicConfig defaults, const TopicConfigOverrides& overrides) {
  for (const auto& [key, value] : overrides) {
    RETURN_IF_ERROR(apply_one(key, value, defaults));
  }
  return defaults;
}

std::vector<TopicConfigEntry> describe(const TopicConfig& config,
                                       const TopicConfigOverrides& overrides) {
  std::vector<TopicConfigEntry> entries = {
      {"cleanup.policy", cleanup_policy_text(config)},
      {"max.message.bytes", fmt::to_string(config.max_message_bytes)},
      {"message.timestamp.type", config.message_timestamp_type == TimestampType::kCreateTime
                                     ? "CreateTime"
                                     : "LogAppendTime"},
      {"retention.bytes", fmt::to_string(config.retention_bytes)},
      {"retention.ms", fmt::to_string(config.retention_ms)},
      {"segment.bytes", fmt::to_string(config.segment_bytes)},
  };
  for (TopicConfigEntry& entry : entries) {
    entry.is_default = !overrides.contains(entry.name);
  }
  for (const auto& [key, value] : overrides) {
    if (std::ranges::find(kKeysWithoutEffect, key) != kKeysWithoutEffect.end()) {
      entries.push_back({key, value, false});
    }
  }
  std::ranges::sort(entries, {}, &TopicConfigEntry::name);
  return entries;
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
