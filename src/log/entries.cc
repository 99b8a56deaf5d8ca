#include "log/entries.h"

#include <cstring>

#include "log/log.h"

namespace onceflow::log {

namespace {
// What is left must be nothing: a longer body is from a version we do not know.
bool is_complete(const WireReader& reader) { return reader.ok() && reader.remaining() == 0; }

void write_partition(WireWriter& writer, const TopicIdPartition& partition) {
  writer.write_uuid(partition.topic_id);
  writer.write_int32(partition.partition.value);
}

TopicIdPartition read_partition(WireReader& reader) {
  TopicIdPartition partition;
  partition.topic_id = reader.read_uuid();
  partition.partition = PartitionIndex(reader.read_int32());
  return partition;
}
}  // namespace

void encode_batch_head(const TopicIdPartition& partition, std::byte* destination) {
  std::memcpy(destination, partition.topic_id.bytes.data(), 16);
  wire::store_big_endian(destination + 16, partition.partition.value);
}

std::optional<BatchEntry> decode_batch_entry(ByteView body) {
  WireReader reader(body);
  BatchEntry entry;
  entry.partition = read_partition(reader);
  entry.batch = reader.read_bytes(reader.remaining());
  return is_complete(reader) ? std::optional(entry) : std::nullopt;
}

void encode_overrides(WireWriter& writer, const TopicConfigOverrides& overrides) {
  writer.write_unsigned_varint(overrides.size());
  for (const auto& [key, value] : overrides) {
    writer.write_sized_string(key);
    writer.write_sized_string(value);
  }
}

TopicConfigOverrides decode_overrides(WireReader& reader) {
  TopicConfigOverrides overrides;
  const std::uint64_t count = reader.read_unsigned_varint();
  for (std::uint64_t index = 0; index < count && reader.ok(); ++index) {
    std::string key = reader.read_sized_string();
    overrides[std::move(key)] = reader.read_sized_string();
  }
  return overrides;
}

void encode_topic_entry(WireWriter& writer, const TopicEntry& entry) {
  writer.write_uuid(entry.id);
  writer.write_sized_string(entry.name);
  writer.write_int32(entry.partition_count);
  encode_overrides(writer, entry.overrides);
}

std::optional<TopicEntry> decode_topic_entry(ByteView body) {
  WireReader reader(body);
  TopicEntry entry;
  entry.id = reader.read_uuid();
  entry.name = reader.read_sized_string();
  entry.partition_count = reader.read_int32();
  entry.overrides = decode_overrides(reader);
  return is_complete(reader) ? std::optional(std::move(entry)) : std::nullopt;
}

Buffer encode_partitions_added(const PartitionsAddedEntry& entry) {
  Buffer body;
  WireWriter writer(body);
  writer.write_uuid(entry.id);
  writer.write_int32(entry.partition_count);
  return body;
}

std::optional<PartitionsAddedEntry> decode_partitions_added(ByteView body) {
  WireReader reader(body);
  PartitionsAddedEntry entry;
  entry.id = reader.read_uuid();
  entry.partition_count = reader.read_int32();
  return is_complete(reader) ? std::optional(entry) : std::nullopt;
}

Buffer encode_log_start(const LogStartEntry& entry) {
  Buffer body;
  WireWriter writer(body);
  write_partition(writer, entry.partition);
  writer.write_int64(entry.offset.value);
  return body;
}

std::optional<LogStartEntry> decode_log_start(ByteView body) {
  WireReader reader(body);
  LogStartEntry entry;
  entry.partition = read_partition(reader);
  entry.offset = Offset(reader.read_int64());
  return is_complete(reader) ? std::optional(entry) : std::nullopt;
}

Buffer encode_topic_configured(const TopicConfiguredEntry& entry) {
  Buffer body;
  WireWriter writer(body);
  writer.write_uuid(entry.id);
  encode_overrides(writer, entry.overrides);
  return body;
}

std::optional<TopicConfiguredEntry> decode_topic_configured(ByteView body) {
  WireReader reader(body);
  TopicConfiguredEntry entry;
  entry.id = reader.read_uuid();
  entry.overrides = decode_overrides(reader);
  return is_complete(reader) ? std::optional(std::move(entry)) : std::nullopt;
}

Buffer encode_topic_deleted(const TopicId& id) {
  Buffer body;
  WireWriter(body).write_uuid(id);
  return body;
}

std::optional<TopicId> decode_topic_deleted(ByteView body) {
  WireReader reader(body);
  const TopicId id = reader.read_uuid();
  return is_complete(reader) ? std::optional(id) : std::nullopt;
}

Buffer encode_end_transaction_head(const EndTransaction& end, const std::vector<Offset>& offsets) {
  Buffer head;
  WireWriter writer(head);
  writer.write_int64(end.producer.id.value);
  writer.write_int16(end.producer.epoch.value);
  writer.write_int32(end.coordinator_epoch);
  writer.write_bool(end.commit);
  writer.write_int64(end.timestamp_ms);
  writer.write_int32(static_cast<std::int32_t>(end.partitions.size()));
  for (std::size_t index = 0; index < end.partitions.size(); ++index) {
    write_partition(writer, end.partitions[index]);
    writer.write_int64(offsets[index].value);
  }
  return head;
}

bool decode_end_transaction(ByteView body, EndTransaction& end, std::vector<Offset>& offsets,
                            ByteView& record) {
  WireReader reader(body);
  end.producer.id = ProducerId(reader.read_int64());
  end.producer.epoch = ProducerEpoch(reader.read_int16());
  end.coordinator_epoch = reader.read_int32();
  end.commit = reader.read_bool();
  end.timestamp_ms = reader.read_int64();
  const std::int32_t count = reader.read_int32();
  for (std::int32_t index = 0; index < count && reader.ok(); ++index) {
    end.partitions.push_back(read_partition(reader));
    offsets.emplace_back(reader.read_int64());
  }
  record = reader.read_bytes(reader.remaining());
  return count >= 0 && reader.ok();
}

}  // namespace onceflow::log
