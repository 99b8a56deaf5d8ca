// TopicConfig: what a topic may be told, under Kafka's names. Pure; owned by the topics catalogue.
#pragma once

#include <cstdint>
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
  bool cleanup_delete = true;
  bool cleanup_compact =
      false;  ///< accepted and reported; compaction itself is not done (LIMITS.md)
};

/// What a user set on a topic, as text, by Kafka's configuration key.
using TopicConfigOverrides = std::map<std::string, std::string>;

/// `defaults` with `overrides` applied. kInvalidArgument for an unknown key or a value out of
/// range; the text names both. Keys of Kafka that mean nothing on one node are accepted and kept.
Result<TopicConfig> apply_overrides(TopicConfig defaults, const TopicConfigOverrides& overrides);

/// One line of DescribeConfigs.
struct TopicConfigEntry {
  std::string name;
  std::string value;
  bool is_default = true;
};
std::vector<TopicConfigEntry> describe(const TopicConfig& config,
                                       const TopicConfigOverrides& overrides);

/// Kafka's rule: 1 to 249 characters of [a-zA-Z0-9._-], neither "." nor "..".
Status check_topic_name(std::string_view name);

}  // namespace onceflow::log
