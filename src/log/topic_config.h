// TopicConfig: what a topic may be told, under Kafka's names. Pure; owned by the topics catalogue.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "protocol/record_batch.h"

namespace onceflow::log {

using protocol::TimestampType;

/// The values in force for one topic. The initial values are Kafka's defaults.
struct TopicConfig {
  std::int64_t retention_ms = 604'800'000;  ///< -1: for ever
  std::int64_t retention_bytes = -1;        ///< -1: no bound
  std::int32_t segment_bytes = 1 << 30;
  std::int32_t max_message_bytes = 1'048'588;
  TimestampType message_timestamp_type = TimestampType::kCreateTime;
  /// How far a record's own timestamp may lie before and after the time of its arrival.
  std::int64_t timestamp_before_max_ms = std::numeric_limits<std::int64_t>::max();
  std::int64_t timestamp_after_max_ms = 3'600'000;
  bool cleanup_delete = true;
  bool cleanup_compact =
      false;  ///< accepted and reported; compaction itself is not done (LIMITS.md)
};

/// What a user set on a topic, as text, by Kafka's configuration key.
using TopicConfigOverrides = std::map<std::string, std::string>;

/// `defaults` with `overrides` applied. kInvalidArgument for an unknown key or a value out of
/// range; the text names both. Keys of Kafka that mean nothing on one node are accepted and kept,
/// whatever their values: older versions did not look at them.
Result<TopicConfig> apply_overrides(TopicConfig defaults, const TopicConfigOverrides& overrides);

/// What a user may set.
struct TopicConfigBounds {
  std::int32_t segment_bytes_min = 1 << 20;  ///< segment.bytes.min; Kafka's
  std::size_t value_bytes_max = 4096;        ///< topic.config.value.max.bytes
};
/// As apply_overrides, for what a user sets now: keys without effect too must have a value that
/// Kafka would take, and a segment is no smaller than Kafka's. What stood in `before` may stay.
Result<TopicConfig> check_overrides(TopicConfig defaults, const TopicConfigOverrides& overrides,
                                    const TopicConfigBounds& bounds,
                                    const TopicConfigOverrides& before = {});
/// What they take in memory, about.
std::size_t bytes_of(const TopicConfigOverrides& overrides);
/// Whether a topic may be told it.
bool is_topic_config(std::string_view key);

/// Kafka's numbers, as in DescribeConfigs.
enum class ConfigType : std::int8_t {
  kBoolean = 1,
  kString = 2,
  kInt = 3,
  kLong = 5,
  kDouble = 6,
  kList = 7,
};
enum class ConfigSource : std::int8_t { kTopic = 1, kStaticBroker = 4, kDefault = 5 };

/// One line of DescribeConfigs.
struct TopicConfigEntry {
  struct Setting {
    std::string name;
    std::string value;
    ConfigSource source = ConfigSource::kDefault;
  };
  std::string name;
  ConfigType type = ConfigType::kString;
  bool has_effect = true;
  std::vector<Setting> settings;  ///< the one in force first; never empty

  const std::string& value() const { return settings.front().value; }
  ConfigSource source() const { return settings.front().source; }
};
/// Every key a topic has, sorted by name.
std::vector<TopicConfigEntry> describe(const TopicConfig& broker_defaults,
                                       const TopicConfigOverrides& overrides);
/// Of what is set: the keys that are accepted and kept, and do nothing here.
std::vector<std::string> without_effect(const TopicConfigOverrides& overrides);
/// Whether AlterConfigs may append to it and subtract from it.
bool is_list(std::string_view key);

/// Kafka's rule: 1 to 249 characters of [a-zA-Z0-9._-], neither "." nor "..".
Status check_topic_name(std::string_view name);

}  // namespace onceflow::log
