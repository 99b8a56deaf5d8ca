// The bodies of journal entries, to and from bytes (docs/formats/journal.md). Pure.
//
// Decoders return nullopt for what does not decode; recovery then refuses to start, because a frame
// with a right checksum held it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/wire.h"
#include "log/topic_config.h"

namespace onceflow::log {

struct EndTransaction;

/// Before the batch in an EntryType::kBatch.
inline constexpr std::size_t kBatchEntryHeadBytes = 20;
void encode_batch_head(const TopicIdPartition& partition, std::byte* destination);

struct BatchEntry {
  TopicIdPartition partition;
  ByteView batch;
};
std::optional<BatchEntry> decode_batch_entry(ByteView body);

struct TopicEntry {
  TopicId id;
  std::string name;
  std::int32_t partition_count = 0;
  TopicConfigOverrides overrides;
};
void encode_topic_entry(WireWriter& writer, const TopicEntry& entry);
std::optional<TopicEntry> decode_topic_entry(ByteView body);

void encode_overrides(WireWriter& writer, const TopicConfigOverrides& overrides);
TopicConfigOverrides decode_overrides(WireReader& reader);

/// kPartitionsAdded: the new total. kLogStartMoved: `partition` is which, `offset` where to.
struct PartitionsAddedEntry {
  TopicId id;
  std::int32_t partition_count = 0;
};
Buffer encode_partitions_added(const PartitionsAddedEntry& entry);
std::optional<PartitionsAddedEntry> decode_partitions_added(ByteView body);

struct LogStartEntry {
  TopicIdPartition partition;
  Offset offset;
};
Buffer encode_log_start(const LogStartEntry& entry);
std::optional<LogStartEntry> decode_log_start(ByteView body);

struct TopicConfiguredEntry {
  TopicId id;
  TopicConfigOverrides overrides;
};
Buffer encode_topic_configured(const TopicConfiguredEntry& entry);
std::optional<TopicConfiguredEntry> decode_topic_configured(ByteView body);

Buffer encode_topic_deleted(const TopicId& id);
std::optional<TopicId> decode_topic_deleted(ByteView body);

/// The offsets of the markers are in the entry so that replay can prove that it puts them where
/// they were. The coordinators' record follows the head.
Buffer encode_end_transaction_head(const EndTransaction& end, const std::vector<Offset>& offsets);
bool decode_end_transaction(ByteView body, EndTransaction& end, std::vector<Offset>& offsets,
                            ByteView& record);

}  // namespace onceflow::log
