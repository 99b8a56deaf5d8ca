#include "coordinator/group_offsets.h"

#include "coordinator/records.h"

namespace onceflow::coordinator {
namespace {

// partition, offset, leader epoch, metadata length, time, write number
constexpr std::size_t kEncodedOffsetBytesMin = 16 + 4 + 8 + 4 + 1 + 8 + 8;

// Fewer changes than this are kept as they are.
constexpr std::size_t kChangesTidiedMin = 1000;

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
    committed.metadata = read_client_text(reader);
    committed.committed_at = WallTime{reader.read_int64()};
    committed.write_number = reader.read_uint64();
    offsets.insert_or_assign(partition, std::move(committed));
  }
  return offsets;
}

std::size_t bytes_of(const CommittedOffset& offset) {
  return kOffsetBytes + offset.metadata.size();
}

}  // namespace

void GroupOffsets::write(ByPartition& destination, std::span<const OffsetToCommit> offsets,
                         WallTime now) {
  for (const OffsetToCommit& offset : offsets) {
    const auto [place, is_new] = destination.try_emplace(offset.partition);
    CommittedOffset& written = place->second;
    size_bytes_ -= is_new ? 0 : bytes_of(written);
    written = {.offset = offset.offset,
               .leader_epoch = offset.leader_epoch,
               .is_noted = written.is_noted,
               .metadata = offset.metadata,
               .committed_at = now,
               .write_number = next_write_number_++};
    size_bytes_ += bytes_of(written);
  }
}

void GroupOffsets::commit(std::span<const OffsetToCommit> offsets, WallTime now) {
  write(committed_, offsets, now);
  if (is_watched_) {
    for (const OffsetToCommit& offset : offsets) {
      note(offset.partition, committed_.at(offset.partition));
    }
  }
}

void GroupOffsets::add_pending(ProducerId producer, std::span<const OffsetToCommit> offsets,
                               WallTime now) {
  ByPartition& pending = pending_[producer];
  for (const OffsetToCommit& offset : offsets) {
    if (!pending.contains(offset.partition)) {
      ++pending_counts_[offset.partition];
    }
    write(pending, {&offset, 1}, now);
  }
}

void GroupOffsets::count_pending(const ByPartition& offsets, int change) {
  for (const auto& [partition, offset] : offsets) {
    const auto counted = pending_counts_.try_emplace(partition, 0).first;
    counted->second += static_cast<std::size_t>(change);
    if (counted->second == 0) {
      pending_counts_.erase(counted);
    }
  }
}

void GroupOffsets::end_transaction(ProducerId producer, TransactionResult result) {
  auto ended = pending_.extract(producer);
  if (!ended.empty()) {
    count_pending(ended.mapped(), -1);
    for (auto& [partition, pending] : ended.mapped()) {
      size_bytes_ -= bytes_of(pending);
      if (result == TransactionResult::kCommit) {
        const auto [place, is_new] = committed_.try_emplace(partition);
        CommittedOffset& committed = place->second;
        size_bytes_ -= is_new ? 0 : bytes_of(committed);
        if (committed.write_number < pending.write_number) {
          pending.is_noted = committed.is_noted;
          committed = std::move(pending);
          note(partition, committed);
        }
        size_bytes_ += bytes_of(committed);
      }
    }
  }
  forget_if_empty();
}

void GroupOffsets::remove_topic(const TopicId& topic) {
  const auto range_of_topic = [&](auto& offsets) {
    const auto first = offsets.lower_bound({topic, PartitionIndex(0)});
    auto last = first;
    while (last != offsets.end() && last->first.topic_id == topic) {
      ++last;
    }
    return std::pair(first, last);
  };
  const auto erase_topic = [&](ByPartition& offsets) {
    const auto [first, last] = range_of_topic(offsets);
    for (auto place = first; place != last; ++place) {
      size_bytes_ -= bytes_of(place->second);
    }
    offsets.erase(first, last);
  };
  const auto [first, last] = range_of_topic(committed_);
  for (auto place = first; place != last; ++place) {
    note_removal(place->first, place->second);
  }
  erase_topic(committed_);
  const auto [first_count, last_count] = range_of_topic(pending_counts_);
  pending_counts_.erase(first_count, last_count);
  for (auto& [producer, offsets] : pending_) {
    erase_topic(offsets);
  }
  std::erase_if(pending_, [](const auto& entry) { return entry.second.empty(); });
  forget_if_empty();
}

void GroupOffsets::remove(const TopicIdPartition& partition) {
  if (const auto place = committed_.find(partition); place != committed_.end()) {
    size_bytes_ -= bytes_of(place->second);
    note_removal(partition, place->second);
    committed_.erase(place);
  }
  forget_if_empty();
}

void GroupOffsets::recount() {
  size_bytes_ = 0;
  for (const auto& [partition, committed] : committed_) {
    size_bytes_ += bytes_of(committed);
  }
  for (const auto& [producer, offsets] : pending_) {
    for (const auto& [partition, pending] : offsets) {
      size_bytes_ += bytes_of(pending);
    }
  }
}

// Without offsets nothing is left to compare with: live and replayed groups, of which one may have
// been forgotten in between, count alike again.
void GroupOffsets::forget_if_empty() {
  if (empty()) {
    next_write_number_ = 1;
  }
}

// --- Watching ---

void GroupOffsets::watch() {
  is_watched_ = true;
  is_anew_ = true;
  changed_.clear();
  for (auto& [partition, committed] : committed_) {
    committed.is_noted = true;
    changed_.push_back(partition);
  }
}

void GroupOffsets::note(const TopicIdPartition& partition, CommittedOffset& committed) {
  if (is_watched_ && !std::exchange(committed.is_noted, true)) {
    changed_.push_back(partition);
  }
}

void GroupOffsets::note_removal(const TopicIdPartition& partition,
                                const CommittedOffset& committed) {
  if (!is_watched_ || committed.is_noted) {
    return;
  }
  changed_.push_back(partition);
  if (changed_.size() > 2 * committed_.size() + kChangesTidiedMin) {
    watch();
  }
}

GroupOffsets::Changes GroupOffsets::take_changes(std::size_t count_max) {
  Changes changes{.is_anew = std::exchange(is_anew_, false), .offsets = {}};
  for (; changes.offsets.size() < count_max && !changed_.empty(); changed_.pop_back()) {
    const auto place = committed_.find(changed_.back());
    if (place != committed_.end()) {
      place->second.is_noted = false;
    }
    changes.offsets.emplace_back(changed_.back(),
                                 place == committed_.end() ? kNoOffset : place->second.offset);
  }
  return changes;
}

const CommittedOffset* GroupOffsets::find(const TopicIdPartition& partition) const {
  const auto place = committed_.find(partition);
  return place == committed_.end() ? nullptr : &place->second;
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
  pending_counts_.clear();
  for (std::size_t left = read_count(reader, sizeof(std::int64_t) + 1); left > 0; --left) {
    const ProducerId producer(reader.read_int64());
    const auto place = pending_.insert_or_assign(producer, decode_offsets(reader)).first;
    count_pending(place->second, 1);
  }
  recount();
}

}  // namespace onceflow::coordinator
