#include "log/walked_state.h"

#include "base/wire.h"
#include "log/entries.h"

namespace onceflow::log {
namespace {

constexpr std::uint64_t kProducerBatchesMax = 5;

void read_segments(WireReader& reader, std::uint16_t version, WalkedPartition& partition) {
  const std::uint64_t count = reader.read_unsigned_varint();
  for (std::uint64_t index = 0; index < count && reader.ok(); ++index) {
    WalkedSegment& segment = partition.segments.emplace_back();
    segment.base_offset = Offset(reader.read_varlong());
    segment.size_bytes = reader.read_unsigned_varint();
    segment.max_timestamp = reader.read_varlong();
    if (version >= 2) {
      const bool is_known = reader.read_bool();
      const std::uint32_t headers_hash = reader.read_uint32();
      segment.headers_hash = is_known ? std::optional(headers_hash) : std::nullopt;
    }
  }
}

void read_aborted(WireReader& reader, WalkedPartition& partition) {
  const std::uint64_t count = reader.read_unsigned_varint();
  for (std::uint64_t index = 0; index < count && reader.ok(); ++index) {
    WalkedAbort& aborted = partition.aborted.emplace_back();
    aborted.producer = ProducerId(reader.read_varlong());
    aborted.first_offset = Offset(reader.read_varlong());
    aborted.last_offset = Offset(reader.read_varlong());
    reader.read_varlong();  // the last stable offset then
  }
}

void read_producers(WireReader& reader, WalkedPartition& partition) {
  const std::uint64_t count = reader.read_unsigned_varint();
  for (std::uint64_t index = 0; index < count && reader.ok(); ++index) {
    WalkedProducer& producer = partition.producers[ProducerId(reader.read_varlong())];
    reader.read_int16();   // epoch
    reader.read_varint();  // coordinator epoch
    producer.transaction_first_offset = Offset(reader.read_varlong());
    reader.read_varlong();  // last timestamp
    reader.read_varlong();  // age
    const std::uint64_t batch_count = reader.read_unsigned_varint();
    if (batch_count > kProducerBatchesMax) {
      reader.fail();
      return;
    }
    for (std::uint64_t batch_index = 0; batch_index < batch_count; ++batch_index) {
      WalkedBatch& batch = producer.batches.emplace_back();
      batch.first_sequence = Sequence(reader.read_int32());
      batch.last_sequence = Sequence(reader.read_int32());
      batch.first_offset = Offset(reader.read_varlong());
      batch.last_offset = batch.first_offset + reader.read_varlong();
      reader.read_varlong();  // log append time
    }
  }
}

}  // namespace

std::optional<WalkedState> decode_walked_state(std::uint16_t version, ByteView body) {
  WireReader reader(body);
  WalkedState state;
  state.version = version;
  state.tail.journal_id = reader.read_uint64();
  state.tail.position = JournalPosition(reader.read_uint64());
  state.tail.file_sequence = reader.read_uint64();
  state.tail.file_offset = reader.read_uint64();
  state.tail.chain = reader.read_uint32();
  if (version >= 2) {
    state.cluster_id = reader.read_sized_string();
  }
  const std::uint64_t topic_count = reader.read_unsigned_varint();
  for (std::uint64_t index = 0; index < topic_count && reader.ok(); ++index) {
    const auto entry = decode_topic_entry(reader.read_sized_bytes());
    if (!entry || entry->partition_count < 0) {
      return std::nullopt;
    }
    WalkedTopic& topic = state.topics[entry->id];
    topic.name = entry->name;
    for (std::int32_t number = 0; number < entry->partition_count && reader.ok(); ++number) {
      WalkedPartition& partition = topic.partitions.emplace_back();
      partition.log_start_offset = Offset(reader.read_varlong());
      partition.log_end_offset = Offset(reader.read_varlong());
      partition.journal_end_offset = partition.log_end_offset;
      read_segments(reader, version, partition);
      read_aborted(reader, partition);
      read_producers(reader, partition);
    }
  }
  state.coordinators = to_buffer(reader.read_sized_bytes());
  if (version >= 2) {
    state.is_tail_durable = reader.read_bool();
    const std::uint64_t file_count = reader.read_unsigned_varint();
    for (std::uint64_t index = 0; index < file_count && reader.ok(); ++index) {
      WalkedFile& file = state.journal_files.emplace_back();
      file.number = static_cast<std::uint32_t>(reader.read_unsigned_varint());
      file.size_bytes = reader.read_unsigned_varint();
    }
  }
  if (!reader.ok() || reader.remaining() != 0) {
    return std::nullopt;
  }
  return state;
}

}  // namespace onceflow::log
