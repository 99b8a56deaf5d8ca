#include "client/record_limits.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

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

}  // namespace onceflow::client
