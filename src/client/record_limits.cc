#include "client/record_limits.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <limits>

#include "client/broker_error.h"
#include "client/kafka_commands.h"

namespace onceflow::client {
namespace {

// The beginning of a key, as far as it can be shown.
std::string shown(ByteView key) {
  constexpr std::size_t kShownBytes = 40;
  std::string text(as_text(key.first(std::min(key.size(), kShownBytes))));
  std::ranges::replace_if(text, [](char letter) { return letter < ' ' || letter > '~'; }, '?');
  return text + (key.size() > kShownBytes ? "..." : "");
}

// The setting bounds bytes.
std::string command_or_smaller(const ClientOptions& client, const std::string& topic,
                               std::string_view setting, std::size_t bytes) {
  return fmt::format(
      "the fix: {}, or make the record smaller",
      settings_command(client, topic, fmt::format("{}={}", setting, std::bit_ceil(bytes + 1))));
}

}  // namespace

std::string describe_record(const TopicPartition& partition, std::size_t bytes,
                            const std::optional<ByteView>& key) {
  return fmt::format("a record of {} bytes{} for {}-{}", bytes,
                     key ? fmt::format(" with key '{}'", shown(*key)) : "", partition.topic,
                     partition.partition.value);
}

std::string rule_of_topic(const ClientOptions& client, const std::string& topic, std::size_t bytes,
                          std::size_t bytes_max) {
  return fmt::format("the rule: topic {} takes batches of at most max.message.bytes, {} bytes; {}",
                     topic, bytes_max,
                     command_or_smaller(client, topic, "max.message.bytes", bytes));
}

std::string fix_of_topic(const ClientOptions& client, protocol::ErrorCode code,
                         const std::string& topic, std::size_t bytes) {
  switch (code) {
    case protocol::ErrorCode::kMessageTooLarge:
      return "; " + command_or_smaller(client, topic, "max.message.bytes", bytes);
    case protocol::ErrorCode::kRecordListTooLarge:
      return "; " + command_or_smaller(client, topic, "segment.bytes", bytes);
    case protocol::ErrorCode::kInvalidTimestamp:
      // Which of the two it breaks the broker's clock has decided.
      return "; the fix: " +
             settings_command(client, topic,
                              fmt::format("message.timestamp.before.max.ms={0},"
                                          "message.timestamp.after.max.ms={0}",
                                          std::numeric_limits<std::int64_t>::max()));
    default:
      return fix_of_broker_error(code);
  }
}

}  // namespace onceflow::client
