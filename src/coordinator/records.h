// Records: what the coordinators append to the journal, and what they hold in common in encoding
// it. Stateless. The bytes are drawn in docs/formats/coordinator_records.md.
#pragma once

#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/wire.h"

namespace onceflow::coordinator {

enum class RecordKind : std::int8_t {
  kProducerIdBlock = 1,
  kTransactionalId = 2,
  kTransactionExtended = 3,
  kTransactionEnded = 4,
  kGroup = 5,
  kGroupDeleted = 6,
  kOffsets = 7,
  kPendingOffsets = 8,
  kMemberRemoved = 9,
  kTransactionDoubt = 10,
  kMemberSilence = 11,
  kOffsetsDeleted = 12,
};

/// Of every kind but those that have another.
inline constexpr std::int8_t kRecordVersion = 0;
/// kTransactionExtended since it says when the transaction began.
inline constexpr std::int8_t kExtendedVersionWithBeginning = 1;
/// Of the snapshot since it has the same, and doubts and silences.
inline constexpr std::int8_t kSnapshotVersionWithBeginnings = 1;
inline constexpr std::size_t kRecordHeaderBytes = 2;
static_assert(sizeof(RecordKind) + sizeof(kRecordVersion) == kRecordHeaderBytes);

inline Buffer begin_record(RecordKind kind, std::int8_t version = kRecordVersion) {
  Buffer record;
  WireWriter writer(record);
  writer.write_int8(static_cast<std::int8_t>(kind));
  writer.write_int8(version);
  return record;
}

/// Behind the header of a record: where its replay begins.
inline WireReader record_body(ByteView record) {
  return WireReader(record.subspan(kRecordHeaderBytes));
}

inline void write_producer(WireWriter& writer, const ProducerIdentity& producer) {
  writer.write_int64(producer.id.value);
  writer.write_int16(producer.epoch.value);
}
inline ProducerIdentity read_producer(WireReader& reader) {
  const ProducerId id(reader.read_int64());
  return {id, ProducerEpoch(reader.read_int16())};
}

inline void write_partition(WireWriter& writer, const TopicIdPartition& partition) {
  writer.write_uuid(partition.topic_id);
  writer.write_int32(partition.partition.value);
}
inline TopicIdPartition read_partition(WireReader& reader) {
  const TopicId topic_id = reader.read_uuid();
  return {topic_id, PartitionIndex(reader.read_int32())};
}

/// An id or another text of a client. Those that are not UTF-8 come from a version that took them;
/// they go on in the form in which messages show them (utf8.h), by which they can be named and
/// deleted, for the protocol has no way to say them any more. One that would be too long for the
/// protocol so ends with its checksum.
std::string read_client_text(WireReader& reader);

/// A count of things of at least `item_bytes_min` each; more than fit into the rest is a failure,
/// so that a damaged count never reserves memory.
inline std::size_t read_count(WireReader& reader, std::size_t item_bytes_min) {
  const std::uint64_t count = reader.read_unsigned_varint();
  if (count > reader.remaining() / item_bytes_min) {
    reader.fail();
    return 0;
  }
  return static_cast<std::size_t>(count);
}

}  // namespace onceflow::coordinator
