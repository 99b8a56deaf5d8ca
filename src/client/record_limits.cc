#include "client/record_limits.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <limits>

#include "client/broker_error.h"

namespace onceflow::client {
namespace {

// The beginning of a key, as far as it can be shown.
std::string shown(ByteView key) {
  constexpr std::size_t kShownBytes = 40;
  std::string text(as_text(key.first(std::min(key.size(), kShownBytes))));
  std::ranges::replace_if(text, [](char letter) { return letter < ' ' || letter > '~'; }, '?');
  return text + (key.size() > kShownBytes ? "..." : "");
}

}  // namespace

std::string describe_record(const TopicPartition& partition, std::size_t bytes,
                            const std::optional<ByteView>& key) {
  return fmt::format("a record of {} bytes{} for {}-{}", bytes,
                     key ? fmt::format(" with key '{}'", shown(*key)) : "", partition.topic,
                     partition.partition.value);
}

std::string rule_of_topic(const std::string& topic, std::size_t bytes, std::size_t bytes_max) {
  return fmt::format(
      "the rule: topic {0} takes batches of at most max.message.bytes, {1} bytes; the "
      "fix: kafka-configs.sh --alter --topic {0} --add-config max.message.bytes={2}, "
      "or make the record smaller",
      topic, bytes_max, std::bit_ceil(bytes + 1));
}

std::string fix_of_topic(protocol::ErrorCode code, const std::string& topic, std::size_t bytes) {
  const auto command = [&](const std::string& settings, std::string_view otherwise) {
    return fmt::format("; the fix: kafka-configs.sh --alter --topic {} --add-config {}{}", topic,
                       settings, otherwise);
  };
  constexpr std::string_view kSmaller = ", or make the record smaller";
  switch (code) {
    case protocol::ErrorCode::kMessageTooLarge:
      return command(fmt::format("max.message.bytes={}", std::bit_ceil(bytes + 1)), kSmaller);
    case protocol::ErrorCode::kRecordListTooLarge:
      return command(fmt::format("segment.bytes={}", std::bit_ceil(bytes + 1)), kSmaller);
    case protocol::ErrorCode::kInvalidTimestamp: {
      // Which of the two it breaks the broker's clock has decided.
      constexpr std::int64_t kAny = std::numeric_limits<std::int64_t>::max();
      return command(fmt::format("message.timestamp.before.max.ms={0},"
                                 "message.timestamp.after.max.ms={0}",
                                 kAny),
                     "");
    }
    default:
      return fix_of_broker_error(code);
  }
}

}  // namespace onceflow::client
