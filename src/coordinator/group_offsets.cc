#include "coordinator/group_offsets.h"

#include <algorithm>

#include "coordinator/records.h"

namespace onceflow::coordinator {
namespace {

// partition, offset, leader epoch, metadata length, time, write number
constexpr std::size_t kEncodedOffsetBytesMin = 16 + 4 + 8 + 4 + 1 + 8 + 8;

void encode_offsets(WireWriter& writer, const GroupOffsets::ByPartition& offsets) {
  writer.write_unsigned_varint(offsets.size());
  for (const auto& [partition, committed] : offsets) {
    write_partition(writer, partition);
    writer.write_int64(committed.offset.value);
    writer.write_int32(committed.leader_epoch);
    writer.write_sized_string(committed.metadata);
    writer.write_int64(committed.committed_at.ms);
    writer.write_uint64(committed.write_number);
  }
}

GroupOffsets::ByPartition decode_offsets(WireReader& reader) {
  GroupOffsets::ByPartition offsets;
  for (std::size_t left = read_count(reader, kEncodedOffsetBytesMin); left > 0; --left) {
    const TopicIdPartition partition = read_partition(reader);
    CommittedOffset committed;
    committed.offset = Offset(reader.read_int64());
    committed.leader_epoch = reader.read_int32();
    committed.metadata = reader.read_sized_string();
    committed.committed_at = WallTime{reader.read_int64()};
    committed.write_number = reader.read_uint64();
    offsets.insert_or_assign(partition, std::move(committed));
  }
  return offsets;
}

}  // namespace

void GroupOffsets::write(ByPartition& destination, std::span<const OffsetToCommit> offsets,
                         WallTime now) {
  for (const OffsetToCommit& offset : offsets) {
    destination.insert_or_assign(offset.partition,
                                 CommittedOffset{.offset = offset.offset,
                                                 .leader_epoch = offset.leader_epoch,
                                                 .metadata = offset.metadata,
                                                 .committed_at = now,
                                                 .write_number = next_write_number_++});
  }
}

void GroupOffsets::commit(std::span<const OffsetToCommit> offsets, WallTime now) {
  write(committed_, offsets, now);
}

void GroupOffsets::add_pending(ProducerId producer, std::span<const OffsetToCommit> offsets,
                               WallTime now) {
  write(pending_[producer], offsets, now);
}

void GroupOffsets::end_transaction(ProducerId producer, TransactionResult result) {
  auto ended = pending_.extract(producer);
  if (!ended.empty() && result == TransactionResult::kCommit) {
    for (auto& [partition, pending] : ended.mapped()) {
      CommittedOffset& committed = committed_[partition];
      if (committed.write_number < pending.write_number) {
        committed = std::move(pending);
      }
    }
  }
  forget_if_empty();
}

void GroupOffsets::remove_topic(const TopicId& topic) {
  const auto is_of_topic = [&](const auto& entry) { return entry.first.topic_id == topic; };
  std::erase_if(committed_, is_of_topic);
  for (auto& [producer, offsets] : pending_) {
    std::erase_if(offsets, is_of_topic);
  }
  std::erase_if(pending_, [](const auto& entry) { return entry.second.empty(); });
  forget_if_empty();
}

void GroupOffsets::remove(const TopicIdPartition& partition) {
  committed_.erase(partition);
  forget_if_empty();
}

/// Without offsets nothing is left to compare with: live and replayed groups, of which one may have
/// been forgotten in between, count alike again.
void GroupOffsets::forget_if_empty() {
  if (empty()) {
    next_write_number_ = 1;
  }
}

const CommittedOffset* GroupOffsets::find(const TopicIdPartition& partition) const {
  const auto place = committed_.find(partition);
  return place == committed_.end() ? nullptr : &place->second;
}

bool GroupOffsets::is_pending(const TopicIdPartition& partition) const {
  return std::ranges::any_of(pending_,
                             [&](const auto& entry) { return entry.second.contains(partition); });
}

void GroupOffsets::encode(WireWriter& writer) const {
  writer.write_uint64(next_write_number_);
  encode_offsets(writer, committed_);
  writer.write_unsigned_varint(pending_.size());
  for (const auto& [producer, offsets] : pending_) {
    writer.write_int64(producer.value);
    encode_offsets(writer, offsets);
  }
}

void GroupOffsets::decode(WireReader& reader) {
  next_write_number_ = reader.read_uint64();
  committed_ = decode_offsets(reader);
  pending_.clear();
  for (std::size_t left = read_count(reader, sizeof(std::int64_t) + 1); left > 0; --left) {
    const ProducerId producer(reader.read_int64());
    pending_.insert_or_assign(producer, decode_offsets(reader));
  }
}

}  // namespace onceflow::coordinator
