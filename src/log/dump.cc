#include "log/dump.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/crc32c.h"
#include "base/topic_id_text.h"
#include "log/entries.h"
#include "log/file_window.h"
#include "log/format.h"
#include "log/log.h"
#include "log/lost_offsets.h"
#include "log/walked_state.h"
#include "protocol/control_batch.h"
#include "protocol/record_batch.h"

namespace onceflow::log {

namespace {

using Visit = std::function<void(const DumpItem&)>;
using Fields = DumpFields;

constexpr std::size_t kTextBytesMax = 1u << 20;

template <typename Number>
std::string text(Number number) {
  return fmt::format("{}", number);
}
std::string text(const TopicIdPartition& partition) {
  return fmt::format("{}-{}", to_text(partition.topic_id), partition.partition.value);
}

void damage(const Visit& visit, std::uint64_t position, std::string what) {
  visit({.position = position, .what = std::move(what), .fields = {}, .is_damage = true});
}

Fields fields_of(const protocol::RecordBatchHeader& header) {
  Fields fields = {{"base_offset", text(header.base_offset.value)},
                   {"last_offset_delta", text(header.last_offset_delta)},
                   {"records", text(header.records_count)},
                   {"bytes", text(header.size_bytes())},
                   {"max_timestamp", text(header.max_timestamp)}};
  if (header.has_producer_id()) {
    fields.emplace_back("producer", text(header.producer_id.value));
    fields.emplace_back("epoch", text(header.producer_epoch.value));
    fields.emplace_back("sequence", text(header.base_sequence.value));
  }
  return fields;
}

std::string_view kind_of(const protocol::RecordBatchHeader& header) {
  return header.is_control()          ? "marker"
         : holds_lost_offsets(header) ? "lost offsets"
         : header.is_transactional()  ? "transactional batch"
                                      : "batch";
}

Status dump_segment(io::File& file, const Visit& visit) {
  FileWindow window(file);
  const auto size_bytes = file.size();
  RETURN_IF_ERROR(size_bytes);
  for (std::uint64_t position = 0; position < *size_bytes;) {
    const auto head = window.view(position, protocol::kBatchHeaderBytes);
    RETURN_IF_ERROR(head);
    const auto header = protocol::RecordBatchHeader::parse(*head);
    if (!header || header->size_bytes() > *size_bytes - position) {
      damage(visit, position,
             header ? "this batch is cut off by the end of the file" : header.error().text);
      return {};
    }
    const auto bytes = window.view(position, header->size_bytes());
    RETURN_IF_ERROR(bytes);
    const auto batch = protocol::RecordBatchView::parse(*bytes);
    visit({.position = position,
           .what = std::string(kind_of(*header)),
           .fields = fields_of(*header),
           .is_damage = false});
    if (!batch || !batch->crc_matches()) {
      damage(visit, position, "its checksum is wrong");
    }
    position += header->size_bytes();
  }
  return {};
}

// The checksum of an entry names its segment, which the file alone does not tell.
void dump_index(ByteView bytes, const Visit& visit) {
  WireReader reader(bytes);
  std::int64_t last_offset = -1;
  std::uint32_t last_place = 0;
  while (reader.remaining() >= kIndexEntryBytes) {
    const std::uint64_t position = reader.position();
    Fields fields;
    const std::int64_t offset = reader.read_int64();
    const std::uint32_t place = reader.read_uint32();
    const bool rises = offset > last_offset && place > last_place;
    last_offset = offset;
    last_place = place;
    fields.emplace_back("offset", text(offset));
    fields.emplace_back("position", text(place));
    fields.emplace_back("max_timestamp", text(reader.read_int64()));
    fields.emplace_back("headers_hash", fmt::format("{:08x}", reader.read_uint32()));
    fields.emplace_back("checksum", fmt::format("{:08x}", reader.read_uint32()));
    visit({.position = position, .what = "index entry", .fields = std::move(fields)});
    if (!rises) {
      damage(visit, position, "it does not lie behind the entry before it");
    }
  }
  if (reader.remaining() > 0) {
    damage(visit, reader.position(), "the last entry is cut off");
  }
}

// An entry about a topic or a partition; nothing if it does not decode, or is another.
std::optional<DumpItem> topic_item(EntryType type, ByteView body) {
  const auto item = [](std::string what, Fields fields) {
    return DumpItem{.what = std::move(what), .fields = std::move(fields)};
  };
  switch (type) {
    case EntryType::kTopicCreated:
      if (const auto topic = decode_topic_entry(body)) {
        Fields fields = {{"id", to_text(topic->id)},
                         {"name", topic->name},
                         {"partitions", text(topic->partition_count)}};
        fields.insert(fields.end(), topic->overrides.begin(), topic->overrides.end());
        return item("entry: topic created", std::move(fields));
      }
      break;
    case EntryType::kTopicDeleted:
      if (const auto id = decode_topic_deleted(body)) {
        return item("entry: topic deleted", {{"id", to_text(*id)}});
      }
      break;
    case EntryType::kPartitionsAdded:
      if (const auto added = decode_partitions_added(body)) {
        return item("entry: partitions added",
                    {{"id", to_text(added->id)}, {"partitions", text(added->partition_count)}});
      }
      break;
    case EntryType::kTopicConfigured:
      if (const auto configured = decode_topic_configured(body)) {
        Fields fields = {{"id", to_text(configured->id)}};
        fields.insert(fields.end(), configured->overrides.begin(), configured->overrides.end());
        return item("entry: topic configured", std::move(fields));
      }
      break;
    case EntryType::kLogStartMoved:
      if (const auto moved = decode_log_start(body)) {
        return item("entry: log start moved",
                    {{"partition", text(moved->partition)}, {"offset", text(moved->offset.value)}});
      }
      break;
    default:
      break;
  }
  return std::nullopt;
}

void dump_entry(std::uint64_t position, ByteView entry, const DumpRecords& records,
                const Visit& visit) {
  const ByteView body = entry.subspan(1);
  const auto show = [&](std::string what, Fields fields) {
    visit({.position = position, .what = std::move(what), .fields = std::move(fields)});
  };
  const auto show_record = [&](ByteView record) {
    const bool decodes = records.record(record, [&](const std::string& what, Fields fields) {
      show("entry: " + what, std::move(fields));
    });
    if (!decodes) {
      damage(visit, position, "a record of the coordinators that does not decode");
    }
  };
  switch (static_cast<EntryType>(entry[0])) {
    case EntryType::kBatch:
      if (const auto batch = decode_batch_entry(body)) {
        if (const auto header = protocol::RecordBatchHeader::parse(batch->batch)) {
          Fields fields = fields_of(*header);
          fields.insert(fields.begin(), {"partition", text(batch->partition)});
          return show("entry: batch", std::move(fields));
        }
      }
      break;
    case EntryType::kEndTransaction: {
      EndTransaction end;
      std::vector<Offset> offsets;
      ByteView record;
      if (decode_end_transaction(body, end, offsets, record)) {
        Fields fields = {{"producer", text(end.producer.id.value)},
                         {"epoch", text(end.producer.epoch.value)},
                         {"result", end.commit ? "commit" : "abort"}};
        for (std::size_t index = 0; index < offsets.size(); ++index) {
          fields.emplace_back(text(end.partitions[index]), text(offsets[index].value));
        }
        show("entry: end of transaction", std::move(fields));
        return show_record(record);
      }
      break;
    }
    case EntryType::kRecord:
      return show_record(body);
    default:
      if (auto item = topic_item(static_cast<EntryType>(entry[0]), body)) {
        return show(std::move(item->what), std::move(item->fields));
      }
  }
  damage(visit, position, "an entry that does not decode");
}

Status dump_journal(io::File& file, const DumpRecords& records, const Visit& visit) {
  FileWindow window(file);
  std::uint64_t blank_blocks = 0;
  std::uint64_t offset = 0;
  bool has_frame = false;
  bool is_zero = true;  // a file that was made and not used yet
  const auto end_blank = [&] {
    if (blank_blocks > 0) {
      visit({.position = offset - blank_blocks * kJournalBlockBytes,
             .what = "no frame",
             .fields = {{"blocks", text(std::exchange(blank_blocks, 0))}}});
    }
  };
  while (true) {
    const auto head = window.view(offset, kFrameHeaderBytes);
    RETURN_IF_ERROR(head);
    const auto header = decode_frame_header(*head);
    if (!header) {
      is_zero = is_zero &&
                std::ranges::all_of(*head, [](std::byte octet) { return octet == std::byte{0}; });
      if (head->size() < kFrameHeaderBytes) {
        end_blank();
        if (!has_frame && !is_zero) {
          damage(visit, 0, "there is no frame in it");
        }
        return {};
      }
      ++blank_blocks;
      offset += kJournalBlockBytes;
      continue;
    }
    end_blank();
    has_frame = true;
    visit({.position = offset,
           .what = header->payload_bytes == 0 ? "seal" : "frame",
           .fields = {{"journal_id", fmt::format("{:016x}", header->journal_id)},
                      {"file_sequence", text(header->file_sequence)},
                      {"position", text(header->position.value)},
                      {"durable_position", text(header->durable_position.value)},
                      {"payload_bytes", text(header->payload_bytes)},
                      {"previous_checksum", fmt::format("{:08x}", header->previous_checksum)},
                      {"header_checksum", fmt::format("{:08x}", header->header_checksum)}}});
    const auto frame = window.view(offset, kFrameHeaderBytes + header->payload_bytes);
    RETURN_IF_ERROR(frame);
    const ByteView payload = frame->subspan(std::min(frame->size(), kFrameHeaderBytes));
    if (payload.size() != header->payload_bytes || crc32c(payload) != header->payload_checksum) {
      damage(visit, offset, "the checksum of its payload is wrong");
      offset += kJournalBlockBytes;
      continue;
    }
    WireReader reader(payload);
    while (reader.remaining() > 0) {
      const std::uint64_t at = offset + kFrameHeaderBytes + reader.position();
      const ByteView entry = reader.read_bytes(reader.read_uint32());
      if (!reader.ok() || entry.empty()) {
        damage(visit, at, "an entry that does not decode");
        break;
      }
      dump_entry(at, entry, records, visit);
    }
    offset += header->frame_bytes();
  }
}

void dump_note(ByteView bytes, const Visit& visit) {
  const auto note = decode_journal_note(bytes);
  if (!note) {
    damage(visit, 0, "its size, version or checksum is wrong");
    return;
  }
  visit({.position = 0,
         .what = "journal note",
         .fields = {{"journal_id", fmt::format("{:016x}", note->journal_id)},
                    {"boot_id", fmt::format("{:016x}", note->boot_id)},
                    {"position", text(note->position.value)},
                    {"synced_position", text(note->synced_position.value)}}});
}

void dump_partition(const std::string& name, const WalkedPartition& partition, const Visit& visit) {
  visit({.position = kCheckpointHeaderBytes,
         .what = "partition",
         .fields = {{"name", name},
                    {"log_start_offset", text(partition.log_start_offset.value)},
                    {"log_end_offset", text(partition.log_end_offset.value)},
                    {"aborted_transactions", text(partition.aborted.size())},
                    {"producers", text(partition.producers.size())}}});
  for (const WalkedSegment& segment : partition.segments) {
    visit({.position = kCheckpointHeaderBytes,
           .what = "segment",
           .fields = {
               {"partition", name},
               {"base_offset", text(segment.base_offset.value)},
               {"size_bytes", text(segment.size_bytes)},
               {"max_timestamp", text(segment.max_timestamp)},
               {"headers_hash",
                segment.headers_hash ? fmt::format("{:08x}", *segment.headers_hash) : "none"}}});
  }
}

}  // namespace

void dump_checkpoint(ByteView bytes, const DumpRecords& records, const Visit& visit) {
  const auto header = decode_checkpoint_header(bytes);
  if (!header) {
    damage(visit, 0, "its header is damaged, or of a newer version");
    return;
  }
  const ByteView body = bytes.subspan(kCheckpointHeaderBytes);
  visit({.position = 0,
         .what = "checkpoint",
         .fields = {{"version", text(header->version)}, {"sequence", text(header->sequence)}}});
  if (header->body_bytes != body.size() || header->body_checksum != crc32c(body)) {
    damage(visit, kCheckpointHeaderBytes, "the checksum of its body is wrong");
    return;
  }
  const auto state = decode_walked_state(header->version, body);
  if (!state) {
    damage(visit, kCheckpointHeaderBytes, "its body does not decode");
    return;
  }
  visit({.position = kCheckpointHeaderBytes,
         .what = "place in the journal",
         .fields = {{"cluster_id", state->cluster_id.empty() ? "none" : state->cluster_id},
                    {"journal_id", fmt::format("{:016x}", state->tail.journal_id)},
                    {"position", text(state->tail.position.value)},
                    {"file_sequence", text(state->tail.file_sequence)},
                    {"file_offset", text(state->tail.file_offset)},
                    {"chain", fmt::format("{:08x}", state->tail.chain)}}});
  for (const WalkedFile& file : state->journal_files) {
    visit({.position = kCheckpointHeaderBytes,
           .what = "journal file",
           .fields = {{"name", journal_file_name(file.number)},
                      {"size_bytes", text(file.size_bytes)}}});
  }
  for (const auto& [id, topic] : state->topics) {
    visit({.position = kCheckpointHeaderBytes,
           .what = "topic",
           .fields = {{"id", to_text(id)}, {"name", topic.name}}});
    for (std::size_t index = 0; index < topic.partitions.size(); ++index) {
      dump_partition(fmt::format("{}-{}", topic.name, index), topic.partitions[index], visit);
    }
  }
  const bool decodes = state->coordinators.empty() ||
                       records.snapshot(state->coordinators, [&](std::string what, Fields fields) {
                         visit({.position = kCheckpointHeaderBytes,
                                .what = std::move(what),
                                .fields = std::move(fields)});
                       });
  if (!decodes) {
    damage(visit, kCheckpointHeaderBytes, "the snapshot of the coordinators does not decode");
  }
}

Status dump_file(io::Disk& disk, const std::string& path, const DumpRecords& records,
                 const Visit& visit) {
  auto file = disk.open(path, io::OpenMode::kRead);
  RETURN_IF_ERROR(file);
  if (path.ends_with(".log")) {
    return dump_segment(**file, visit);
  }
  if (path.ends_with(".journal")) {
    return dump_journal(**file, records, visit);
  }
  const auto bytes = io::read_file(disk, path);
  RETURN_IF_ERROR(bytes);
  const std::string name = path.substr(path.find_last_of('/') + 1);
  if (name.ends_with(".index")) {
    dump_index(*bytes, visit);
  } else if (name.starts_with("checkpoint.")) {
    dump_checkpoint(*bytes, records, visit);
  } else if (name == kJournalNoteFileName) {
    dump_note(*bytes, visit);
  } else if (bytes->size() <= kTextBytesMax &&
             std::ranges::find(*bytes, std::byte{0}) == bytes->end()) {
    std::string_view rest = as_text(*bytes);
    while (!rest.empty()) {
      const std::size_t end = std::min(rest.find('\n'), rest.size());
      visit({.position = bytes->size() - rest.size(),
             .what = "line",
             .fields = {{"text", std::string(rest.substr(0, end))}}});
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  } else {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{} is not a file of a data directory: a segment (.log), an index "
                            "(.index), the journal (.journal), checkpoint.N, journal.durable or "
                            "meta.properties",
                            path));
  }
  return {};
}

}  // namespace onceflow::log
