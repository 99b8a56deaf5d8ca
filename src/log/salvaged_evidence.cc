#include "log/salvaged_evidence.h"

#include <vector>

#include "log/entries.h"
#include "log/format.h"
#include "log/log.h"

namespace onceflow::log {

void SalvagedEvidence::read(const JournalEntry& entry) {
  switch (entry.type) {
    case EntryType::kBatch: {
      if (const auto batch = decode_batch_entry(entry.body)) {
        if (const auto header = protocol::RecordBatchHeader::parse(batch->batch)) {
          batches_[batch->partition].insert_or_assign(header->base_offset, header->crc);
          note(batch->partition, entry.end);
        }
      }
      break;
    }
    case EntryType::kEndTransaction: {
      EndTransaction end;
      std::vector<Offset> offsets;
      ByteView record;
      if (decode_end_transaction(entry.body, end, offsets, record)) {
        for (std::size_t index = 0; index < end.partitions.size(); ++index) {
          batches_[end.partitions[index]].insert_or_assign(offsets[index], std::nullopt);
          note(end.partitions[index], entry.end);
        }
      }
      break;
    }
    case EntryType::kTopicCreated:
      if (const auto topic = decode_topic_entry(entry.body)) {
        ids_of_names_[topic->name].insert(topic->id);
        created_.insert(topic->id);
        for (std::int32_t index = 0; index < topic->partition_count; ++index) {
          note({topic->id, PartitionIndex(index)}, entry.end);
        }
      }
      break;
    case EntryType::kTopicDeleted:
    case EntryType::kPartitionsAdded:
    case EntryType::kTopicConfigured:
    case EntryType::kLogStartMoved:
    case EntryType::kRecord:
      break;
  }
}

SalvagedEvidence::Verdict SalvagedEvidence::judge(const TopicIdPartition& partition,
                                                  const protocol::RecordBatchHeader& header) const {
  const auto known = batches_.find(partition);
  if (known == batches_.end()) {
    return Verdict::kUnknown;
  }
  const auto at = known->second.lower_bound(header.base_offset);
  if (at == known->second.end() || at->first >= header.next_offset()) {
    return Verdict::kUnknown;
  }
  const bool is_same =
      at->first == header.base_offset &&
      (at->second ? !header.is_control() && *at->second == header.crc : header.is_control());
  return is_same ? Verdict::kSame : Verdict::kOther;
}

bool SalvagedEvidence::has_batch_in(const TopicIdPartition& partition, Offset from,
                                    Offset next) const {
  const auto known = batches_.find(partition);
  if (known == batches_.end()) {
    return false;
  }
  const auto at = known->second.lower_bound(from);
  return at != known->second.end() && at->first < next;
}

bool SalvagedEvidence::has_entry_behind(const TopicIdPartition& partition,
                                        JournalPosition position) const {
  const auto last = last_entry_.find(partition);
  return last != last_entry_.end() && last->second > position;
}

}  // namespace onceflow::log
