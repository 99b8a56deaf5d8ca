#include "connectors/positions.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <ranges>

#include "base/parse_number.h"
#include "base/topic_id_text.h"
#include "protocol/position_topics.h"

namespace onceflow::connectors {

std::string source_text(const TopicPartition& source, Offset offset) {
  return fmt::format("{}/{}/{}", source.topic, source.partition.value, offset.value);
}

std::optional<std::pair<TopicPartition, Offset>> parse_source(std::string_view text) {
  const std::size_t last = text.rfind('/');
  const std::size_t middle =
      last == std::string_view::npos || last == 0 ? last : text.rfind('/', last - 1);
  if (last == 0 || middle == std::string_view::npos) {
    return std::nullopt;
  }
  const auto partition = parse_number<std::int32_t>(text.substr(middle + 1, last - middle - 1));
  const auto offset = parse_number<std::int64_t>(text.substr(last + 1));
  if (!partition || !offset || *partition < 0 || *offset < 0) {
    return std::nullopt;
  }
  const TopicPartition source{std::string(text.substr(0, middle)), PartitionIndex(*partition)};
  // Others write "in/00/7": no row of ours, and no other text means the same record.
  return source_text(source, Offset(*offset)) == text
             ? std::optional(std::pair(source, Offset(*offset)))
             : std::nullopt;
}

std::string beginning_of(const TopicPartition& source) {
  return fmt::format("{}/{}/", source.topic, source.partition.value);
}

std::string source_of_row(const SinkCommit& commit, const SinkRow& row) {
  return source_text(commit.positions[row.source_index].source, row.source_offset);
}

std::string describe_fence(const SinkPosition& believed, const ClaimedPartition& stored) {
  const std::string name =
      fmt::format("{}/{}", believed.source.topic, believed.source.partition.value);
  constexpr std::string_view kRestored =
      "the database was restored, or the row changed by hand; what the database has decides";
  if (stored.epoch == 0 && stored.next_offset == kNoOffset) {
    return fmt::format("the position of {} is gone from onceflow_positions: {}", name, kRestored);
  }
  if (stored.epoch < believed.epoch) {
    return fmt::format("the position of {} has claim {}, older than this worker's claim {}: {}",
                       name, stored.epoch, believed.epoch, kRestored);
  }
  if (stored.epoch > believed.epoch) {
    return fmt::format("{} was claimed by another worker after epoch {}", name, believed.epoch);
  }
  return fmt::format(
      "the position of {} is {} in onceflow_positions, and this worker left it at {}", name,
      stored.next_offset.value, believed.from_offset.value);
}

std::unexpected<Error> refuse_position(const SinkTable& table, const TopicPartition& source,
                                       std::string_view what, std::string_view rule,
                                       std::string_view change) {
  return fail(
      ErrorCode::kRefused,
      fmt::format("the row of {}-{} in onceflow_positions has the {}; the rule: {}; the fix: "
                  "restore the row; or with the stage stopped: {}",
                  source.topic, source.partition.value, what, rule,
                  change.empty()
                      ? "onceflow reset FILE --to-earliest --execute"
                      : fmt::format("UPDATE onceflow_positions SET {} WHERE pipeline = '{}' AND "
                                    "stage = '{}' AND topic = '{}' AND partition = {}",
                                    change, table.pipeline, table.stage, source.topic,
                                    source.partition.value)));
}

Status check_positions(const SinkTable& table, const std::vector<ClaimedPartition>& claimed) {
  const auto is_id = [](const std::string& text) {
    return text.empty() || text == kUnknownTopicId || parse_topic_id(text);
  };
  for (const ClaimedPartition& partition : claimed) {
    const protocol::PositionTopics topics = protocol::parse_position_topics(partition.topic_id);
    if (!is_id(topics.topic_id) || !is_id(topics.receipts_id)) {
      return refuse_position(table, partition.source,
                             fmt::format("topic_id '{}'", partition.topic_id),
                             "it is 22 characters of URL-safe base64, 'unknown', or empty where "
                             "nobody knows it, and so is what ' receipts=' may put after it",
                             "topic_id = ''");
    }
    if (partition.next_offset == kNoOffset && !topics.topic_id.empty() &&
        topics.topic_id != kUnknownTopicId) {
      return refuse_position(
          table, partition.source,
          fmt::format("next_offset -1 beside topic_id '{}'", partition.topic_id),
          "the beginning and the topic's id are fixed in one step, and before it "
          "there is neither",
          partition.receipt_offset == kNoOffset
              ? std::string()
              : fmt::format("next_offset = {}", partition.receipt_offset.value));
    }
    if (partition.next_offset < kNoOffset) {
      return refuse_position(table, partition.source,
                             fmt::format("next_offset {}", partition.next_offset.value),
                             "offsets begin at 0, and -1 is before the beginning is fixed",
                             partition.receipt_offset == kNoOffset
                                 ? std::string()
                                 : fmt::format("next_offset = {}", partition.receipt_offset.value));
    }
  }
  return {};
}

Buffer from_hex(std::string_view digits) {
  Buffer bytes(digits.size() / 2);
  for (std::size_t index = 0; index < bytes.size(); ++index) {
    std::uint8_t octet = 0;
    std::from_chars(digits.data() + 2 * index, digits.data() + 2 * index + 2, octet, 16);
    bytes[index] = std::byte{octet};
  }
  return bytes;
}

void NewestReceipts::add(ByteView bytes) {
  ++seen_;
  const auto receipt = protocol::decode_receipt(bytes);
  if (!receipt) {
    return;  // The audit names it.
  }
  if (wants_row_ && row_.empty()) {
    find_row(*receipt);
  }
  for (const protocol::Receipt::Input& input : receipt->inputs) {
    const auto place = std::ranges::find(claimed_, input.source, &ClaimedPartition::source);
    if (place != claimed_.end() && place->receipt_offset == kNoOffset) {
      place->receipt_offset = input.next_offset;
      place->receipt_input = input;
      --wanted_;
    }
  }
}

// Of upserts it is the last row of all, because a later one of its key would have taken its place.
void NewestReceipts::find_row(const protocol::Receipt& receipt) {
  for (const protocol::Receipt::Row& row : std::views::reverse(receipt.rows)) {
    if (row.is_delete) {
      deleted_keys_.insert(row.key_hash);
    } else if (!deleted_keys_.contains(row.key_hash) && row.input_index < receipt.inputs.size()) {
      row_ = source_text(receipt.inputs[row.input_index].source, row.source_offset);
      return;
    }
  }
}

}  // namespace onceflow::connectors
