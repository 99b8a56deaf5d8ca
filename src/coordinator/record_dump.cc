#include "coordinator/record_dump.h"

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

#include "base/topic_id_text.h"
#include "base/utf8.h"
#include "coordinator/group_image.h"
#include "coordinator/records.h"

namespace onceflow::coordinator {
namespace {

using log::DumpFields;
using Show = log::DumpRecords::Show;

constexpr std::size_t kPartitionBytes = 16 + 4;
constexpr std::size_t kPartBytesMin = 1 + 1 + 4 + 4;
constexpr std::size_t kOffsetBytesMin = kPartitionBytes + 8 + 4 + 1;
constexpr std::size_t kMemberBytesMin = 1 + 1 + 1 + 1 + 4 + 4 + 1 + 1;

// Reads one thing after another, and keeps what it says under the name of its field.
class FieldReader {
 public:
  explicit FieldReader(WireReader& reader) : reader_(reader) {}

  DumpFields take() { return std::move(fields_); }

  void int8(std::string name) { add(std::move(name), reader_.read_int8()); }
  void int32(std::string name) { add(std::move(name), reader_.read_int32()); }
  void int64(std::string name) { add(std::move(name), reader_.read_int64()); }
  void uint64(std::string name) { add(std::move(name), reader_.read_uint64()); }
  bool boolean(std::string name) {
    const bool value = reader_.read_bool();
    add(std::move(name), value);
    return value;
  }
  void text(std::string name) { fields_.emplace_back(std::move(name), read_text()); }

  void producer(const std::string& name) {
    const ProducerIdentity producer = read_producer(reader_);
    add(name, producer.id.value);
    add(name + "_epoch", producer.epoch.value);
  }
  void settled() {
    int8("state");
    producer("producer");
    producer("previous_producer");
    int32("timeout_ms");
  }
  void beginning(const std::string& name) {
    int64(name + "_wall_ms");
    int64(name + "_monotonic_ns");
    uint64(name + "_monotonic_count");
  }
  void part(std::string name) {
    std::string said = fmt::format("group '{}'", read_text());
    said += fmt::format(" topic '{}'", read_text());
    said += fmt::format(" partition {}", reader_.read_int32());
    said += fmt::format(" last_sequence {}", reader_.read_int32());
    fields_.emplace_back(std::move(name), std::move(said));
  }
  void parts(const std::string& name) {
    const std::size_t count = read_count(reader_, kPartBytesMin);
    for (std::size_t index = 0; index < count && reader_.ok(); ++index) {
      part(fmt::format("{}.{}", name, index));
    }
  }
  void texts(std::string name) {
    list(std::move(name), 1, [this] { return read_text(); });
  }
  void partitions(std::string name) {
    list(std::move(name), kPartitionBytes, [this] { return read_partition_text(); });
  }
  void offsets() {
    for (std::size_t left = read_count(reader_, kOffsetBytesMin); left > 0 && reader_.ok();
         --left) {
      fields_.push_back(read_offset());
    }
  }
  void stored_offsets(std::string_view before) {
    for (std::size_t left = read_count(reader_, kOffsetBytesMin + 8 + 8); left > 0 && reader_.ok();
         --left) {
      auto [partition, said] = read_offset();
      said += fmt::format(" committed_at_ms {}", reader_.read_int64());
      said += fmt::format(" write_number {}", reader_.read_uint64());
      fields_.emplace_back(fmt::format("{}{}", before, partition), std::move(said));
    }
  }
  void image() {
    const auto state = static_cast<GroupState>(reader_.read_int8());
    fields_.emplace_back("state", to_string(state));
    int32("generation");
    text("protocol_type");
    text("protocol_name");
    text("leader");
    for (std::size_t left = read_count(reader_, kMemberBytesMin); left > 0 && reader_.ok();
         --left) {
      member();
    }
  }

 private:
  template <typename Value>
  void add(std::string name, Value value) {
    fields_.emplace_back(std::move(name), fmt::format("{}", value));
  }
  template <typename Read>
  void list(std::string name, std::size_t item_bytes_min, Read read) {
    std::string said;
    for (std::size_t left = read_count(reader_, item_bytes_min); left > 0 && reader_.ok(); --left) {
      said += (said.empty() ? "" : ",") + read();
    }
    fields_.emplace_back(std::move(name), std::move(said));
  }

  std::string read_text() { return printable(as_text(reader_.read_sized_bytes())); }
  std::string read_partition_text() {
    const TopicIdPartition partition = read_partition(reader_);
    return fmt::format("{}-{}", onceflow::to_text(partition.topic_id), partition.partition.value);
  }
  std::pair<std::string, std::string> read_offset() {
    std::string partition = read_partition_text();
    std::string said = fmt::format("{}", reader_.read_int64());
    said += fmt::format(" leader_epoch {}", reader_.read_int32());
    said += fmt::format(" metadata '{}'", read_text());
    return {std::move(partition), std::move(said)};
  }
  void member() {
    std::string name = "member " + read_text();
    std::string said;
    if (reader_.read_bool()) {
      said += fmt::format("instance '{}' ", read_text());
    }
    said += fmt::format("client '{}'", read_text());
    said += fmt::format(" host '{}'", read_text());
    said += fmt::format(" session_timeout_ms {}", reader_.read_int32());
    said += fmt::format(" rebalance_timeout_ms {}", reader_.read_int32());
    for (std::size_t left = read_count(reader_, 2); left > 0 && reader_.ok(); --left) {
      said += fmt::format(" protocol '{}'", read_text());
      said += fmt::format(" of {} bytes", reader_.read_sized_bytes().size());
    }
    said += fmt::format(" assignment of {} bytes", reader_.read_sized_bytes().size());
    fields_.emplace_back(std::move(name), std::move(said));
  }

  WireReader& reader_;
  DumpFields fields_;
};

// A body of a transaction's record: kinds 2, 3, 4 and 10. Empty: of another kind.
std::string_view read_transaction(RecordKind kind, std::int8_t version, FieldReader& fields) {
  switch (kind) {
    case RecordKind::kTransactionalId:
      fields.text("transactional_id");
      fields.settled();
      return "transactional id";
    case RecordKind::kTransactionExtended:
      fields.text("transactional_id");
      fields.int64("started_at_ms");
      if (version >= kExtendedVersionWithBeginning) {
        fields.beginning("began");
      }
      fields.boolean("must_abort");
      fields.partitions("partitions");
      fields.texts("groups");
      return "transaction extended";
    case RecordKind::kTransactionEnded:
      fields.text("transactional_id");
      fields.int8("result");
      fields.texts("groups");
      fields.settled();
      return "transaction ended";
    case RecordKind::kTransactionDoubt:
      fields.text("transactional_id");
      fields.boolean("is_settled");
      fields.part("part");
      return "transaction doubt";
    default:
      return "";
  }
}

// The same of the other kinds. Empty: there is no such kind.
std::string_view read_group(RecordKind kind, FieldReader& fields) {
  switch (kind) {
    case RecordKind::kProducerIdBlock:
      fields.int64("block_end");
      return "producer id block";
    case RecordKind::kGroup:
      fields.text("group_id");
      fields.image();
      return "group";
    case RecordKind::kGroupDeleted:
      fields.text("group_id");
      fields.int32("generation");
      return "group deleted";
    case RecordKind::kPendingOffsets:
      fields.int64("producer");
      [[fallthrough]];
    case RecordKind::kOffsets:
      fields.text("group_id");
      fields.int64("committed_at_ms");
      fields.offsets();
      return kind == RecordKind::kOffsets ? "offsets" : "pending offsets";
    case RecordKind::kMemberRemoved:
      fields.text("group_id");
      fields.text("member_id");
      return "member removed";
    case RecordKind::kMemberSilence:
      fields.text("group_id");
      fields.text("member_id");
      if (fields.boolean("is_silent")) {
        fields.beginning("silent_since");
      }
      return "member silence";
    case RecordKind::kOffsetsDeleted:
      fields.text("group_id");
      fields.partitions("partitions");
      return "offsets deleted";
    default:
      return "";
  }
}

void dump_transactional_ids(WireReader& reader, std::int8_t version, const Show& show) {
  for (std::size_t left = read_count(reader, 1); left > 0; --left) {
    FieldReader fields(reader);
    fields.text("transactional_id");
    fields.settled();
    if (fields.boolean("is_ongoing")) {
      fields.int64("started_at_ms");
      if (version >= kSnapshotVersionWithBeginnings) {
        fields.beginning("began");
      }
      fields.boolean("must_abort");
      if (version >= kSnapshotVersionWithBeginnings) {
        fields.parts("doubt");
      }
      fields.partitions("partitions");
      fields.texts("groups");
    }
    if (!reader.ok()) {
      return;
    }
    show("transactional id", fields.take());
  }
}

void dump_groups(WireReader& reader, std::int8_t version, const Show& show) {
  for (std::size_t left = read_count(reader, 1); left > 0; --left) {
    FieldReader fields(reader);
    fields.text("group_id");
    fields.image();
    fields.uint64("next_write_number");
    fields.stored_offsets("");
    for (std::size_t pending = read_count(reader, sizeof(std::int64_t) + 1);
         pending > 0 && reader.ok(); --pending) {
      fields.stored_offsets(fmt::format("pending of {}: ", reader.read_int64()));
    }
    if (version >= kSnapshotVersionWithBeginnings) {
      for (std::size_t silent = read_count(reader, 2); silent > 0 && reader.ok(); --silent) {
        fields.beginning("silent " + printable(as_text(reader.read_sized_bytes())));
      }
    }
    if (!reader.ok()) {
      return;
    }
    show("group", fields.take());
  }
}

}  // namespace

bool dump_record(ByteView record, const Show& show) {
  WireReader reader(record);
  const auto kind = static_cast<RecordKind>(reader.read_int8());
  const std::int8_t version = reader.read_int8();
  FieldReader fields(reader);
  std::string_view what = read_transaction(kind, version, fields);
  if (what.empty()) {
    what = read_group(kind, fields);
  }
  if (what.empty() || !reader.ok() || reader.remaining() != 0) {
    return false;
  }
  show(std::string(what), fields.take());
  return true;
}

bool dump_snapshot(ByteView snapshot, const Show& show) {
  WireReader reader(snapshot);
  const std::int8_t version = reader.read_int8();
  if (version < 0 || version > kSnapshotVersionWithBeginnings) {
    return false;
  }
  FieldReader ids(reader);
  ids.int64("block_end");
  if (!reader.ok()) {
    return false;
  }
  show("producer id block", ids.take());
  dump_transactional_ids(reader, version, show);
  FieldReader deleted(reader);
  deleted.int32("deleted_generation_max");
  if (!reader.ok()) {
    return false;
  }
  show("groups", deleted.take());
  dump_groups(reader, version, show);
  return reader.ok() && reader.remaining() == 0;
}

}  // namespace onceflow::coordinator
