#include "engine/input_account.h"

#include "base/check.h"
#include "base/record_hash.h"

namespace onceflow::engine {

void InputAccount::begin(std::span<const Position> positions) {
  partitions_.clear();
  for (const Position& position : positions) {
    partitions_[position.source] = {.topic_id = position.topic_id,
                                    .from_offset = position.offset,
                                    .next_offset = position.offset};
  }
}

void InputAccount::add(const Chunk& chunk) {
  Open& open = partitions_.at(chunk.source);
  for (const Record& record : chunk.records) {
    // A record twice, or one from before the committed position, would be reflected twice.
    CHECK_INVARIANT("STG-1", record.offset >= open.next_offset);
    open.next_offset = record.offset + 1;
    open.record_hash_sum +=
        input_record_hash(chunk.source.partition, record.offset, record.key, record.value);
  }
  open.record_count += static_cast<std::int64_t>(chunk.records.size());
}

void InputAccount::advance(const TopicPartition& source, Offset next_offset) {
  Open& open = partitions_.at(source);
  CHECK_INVARIANT("STG-1", next_offset >= open.next_offset);
  open.next_offset = next_offset;
}

bool InputAccount::is_empty() const {
  for (const auto& [source, open] : partitions_) {
    if (open.next_offset != open.from_offset) {
      return false;
    }
  }
  return true;
}

std::vector<protocol::Receipt::Input> InputAccount::inputs() const {
  std::vector<protocol::Receipt::Input> inputs;
  for (const auto& [source, open] : partitions_) {
    if (open.next_offset != open.from_offset) {
      inputs.push_back({.source = source,
                        .topic_id = open.topic_id,
                        .from_offset = open.from_offset,
                        .next_offset = open.next_offset,
                        .record_count = open.record_count,
                        .record_hash_sum = open.record_hash_sum});
    }
  }
  return inputs;
}

std::vector<InputAccount::Position> InputAccount::moved_positions() const {
  std::vector<Position> positions;
  for (const auto& [source, open] : partitions_) {
    if (open.next_offset != open.from_offset) {
      positions.push_back({source, open.next_offset, open.topic_id});
    }
  }
  return positions;
}

void InputAccount::commit() {
  for (auto& [source, open] : partitions_) {
    open = {.topic_id = open.topic_id,
            .from_offset = open.next_offset,
            .next_offset = open.next_offset};
  }
}

}  // namespace onceflow::engine
