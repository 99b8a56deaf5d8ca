// Checkpoints: what the log and the coordinators knew at one position of the journal, and the work
// of making one without blocking the loop for longer than it takes to write it down in memory.
//
//   snapshot in memory, at the journal's end P   (one turn; nothing else runs)
//   wait until P is durable, and until the files are gone that entries before it remove
//   write tails, sync every segment that was written since the last checkpoint (checkpoint_sync.cc)
//   write the checkpoint file that is not the newest, sync it
//   release the journal before P
//
// A crash at any point leaves the older checkpoint and the journal from its position on.
#include <algorithm>

#include "base/crc32c.h"
#include "log/damage.h"
#include "log/log_state.h"

namespace onceflow::log {

namespace {
// The place in the journal, at the front of the body so that it can be filled in late.
constexpr std::size_t kPlaceBytes = 8 + 8 + 8 + 8 + 4;

void write_segments(WireWriter& writer, const std::vector<SegmentSummary>& segments) {
  writer.write_unsigned_varint(segments.size());
  for (const SegmentSummary& segment : segments) {
    writer.write_varlong(segment.base_offset.value);
    writer.write_unsigned_varint(segment.size_bytes);
    writer.write_varlong(segment.max_timestamp);
    writer.write_bool(segment.headers_hash.has_value());
    writer.write_uint32(segment.headers_hash.value_or(0));
  }
}

std::vector<SegmentSummary> read_segments(WireReader& reader, std::uint16_t version) {
  std::vector<SegmentSummary> segments;
  const std::uint64_t count = reader.read_unsigned_varint();
  for (std::uint64_t index = 0; index < count && reader.ok(); ++index) {
    SegmentSummary segment;
    segment.base_offset = Offset(reader.read_varlong());
    segment.size_bytes = reader.read_unsigned_varint();
    segment.max_timestamp = reader.read_varlong();
    if (version >= 2) {
      const bool is_known = reader.read_bool();
      const std::uint32_t headers_hash = reader.read_uint32();
      if (is_known) {
        segment.headers_hash = headers_hash;
      }
    }
    if (segment.size_bytes == 0 ||
        (!segments.empty() && segment.base_offset <= segments.back().base_offset)) {
      reader.fail();
    }
    segments.push_back(segment);
  }
  return segments;
}

// What else belongs to the log; known when the rest has been synced, so it stands at the end.
void write_journal_files(WireWriter& writer, const Journal* journal, bool is_tail_durable) {
  writer.write_bool(is_tail_durable);
  const std::vector<JournalFile> files =
      journal != nullptr ? journal->files() : std::vector<JournalFile>();
  writer.write_unsigned_varint(files.size());
  for (const JournalFile& file : files) {
    writer.write_unsigned_varint(file.number);
    writer.write_unsigned_varint(file.size_bytes);
  }
}

void read_journal_files(WireReader& reader, JournalKnown& known) {
  known.is_tail_durable = reader.read_bool();
  const std::uint64_t count = reader.read_unsigned_varint();
  for (std::uint64_t index = 0; index < count && reader.ok(); ++index) {
    JournalFile& file = known.files.emplace_back();
    file.number = static_cast<std::uint32_t>(reader.read_unsigned_varint());
    file.size_bytes = reader.read_unsigned_varint();
  }
}
}  // namespace

Buffer CheckpointCodec::encode(LogState& state, MonotonicTime now) {
  Buffer bytes(kCheckpointHeaderBytes + kPlaceBytes, std::byte{0});
  WireWriter writer(bytes);
  writer.write_sized_string(state.cluster_id);
  writer.write_unsigned_varint(state.topics.by_name().size());
  for (const auto& [name, topic] : state.topics.by_name()) {
    Buffer entry;
    WireWriter entry_writer(entry);
    encode_topic_entry(entry_writer,
                       {topic->id, topic->name, static_cast<std::int32_t>(topic->partitions.size()),
                        topic->overrides});
    writer.write_sized_bytes(entry);
    for (const auto& partition : topic->partitions) {
      writer.write_varlong(partition->log_start_offset_.value);
      writer.write_varlong(partition->log_end_offset_.value);
      std::vector<SegmentSummary> segments;
      for (const auto& segment : partition->segments_.all()) {
        segments.push_back(segment->summary());
      }
      write_segments(writer, segments);
      writer.write_unsigned_varint(partition->aborted_.size());
      for (const AbortedTransaction& aborted : partition->aborted_) {
        writer.write_varlong(aborted.producer.value);
        writer.write_varlong(aborted.first_offset.value);
        writer.write_varlong(aborted.last_offset.value);
        writer.write_varlong(aborted.last_stable_offset.value);
      }
      partition->producers_.encode(writer, now);
    }
  }
  Buffer coordinators;
  if (state.snapshot_writer) {
    state.snapshot_writer(coordinators);
  }
  writer.write_sized_bytes(coordinators);
  return bytes;
}

void CheckpointCodec::set_tail(Buffer& checkpoint, const LogState& state, const JournalTail& tail,
                               std::uint64_t sequence) {
  WireWriter writer(checkpoint);
  write_journal_files(writer, state.journal.get(), state.options.flush == FlushMode::kDurable);
  std::byte* place = checkpoint.data() + kCheckpointHeaderBytes;
  wire::store_big_endian(place, state.journal_id);
  wire::store_big_endian(place + 8, tail.position.value);
  wire::store_big_endian(place + 16, tail.file_sequence);
  wire::store_big_endian(place + 24, tail.file_offset);
  wire::store_big_endian(place + 32, tail.chain);
  const ByteView body = ByteView(checkpoint).subspan(kCheckpointHeaderBytes);
  encode_checkpoint_header(
      {.sequence = sequence, .body_bytes = body.size(), .body_checksum = crc32c(body)},
      checkpoint.data());
}

Result<CheckpointCodec::Decoded> CheckpointCodec::decode(LogState& state, std::uint16_t version,
                                                         ByteView body, MonotonicTime now) {
  WireReader reader(body);
  Decoded decoded;
  decoded.journal.journal_id = reader.read_uint64();
  decoded.journal.tail.position = JournalPosition(reader.read_uint64());
  decoded.journal.tail.file_sequence = reader.read_uint64();
  decoded.journal.tail.file_offset = reader.read_uint64();
  decoded.journal.tail.chain = reader.read_uint32();
  if (version >= 2) {
    decoded.cluster_id = reader.read_sized_string();
  }
  const std::uint64_t topic_count = reader.read_unsigned_varint();
  for (std::uint64_t index = 0; index < topic_count && reader.ok(); ++index) {
    const auto entry = decode_topic_entry(reader.read_sized_bytes());
    if (!entry || !reader.ok()) {
      reader.fail();
      break;
    }
    auto topic = state.make_topic(*entry);
    RETURN_IF_ERROR(topic);
    for (const auto& partition : (*topic)->partitions) {
      partition->log_start_offset_ = Offset(reader.read_varlong());
      partition->log_end_offset_ = Offset(reader.read_varlong());
      partition->segments_.adopt(read_segments(reader, version), partition->log_end_offset_);
      const std::uint64_t aborted_count = reader.read_unsigned_varint();
      for (std::uint64_t aborted = 0; aborted < aborted_count && reader.ok(); ++aborted) {
        AbortedTransaction& transaction = partition->aborted_.emplace_back();
        transaction.producer = ProducerId(reader.read_varlong());
        transaction.first_offset = Offset(reader.read_varlong());
        transaction.last_offset = Offset(reader.read_varlong());
        transaction.last_stable_offset = Offset(reader.read_varlong());
      }
      partition->producers_ = ProducerStates::decode(reader, now);
      for (const auto& [id, producer] : partition->producers_.sorted()) {
        if (producer->has_open_transaction()) {
          partition->open_transactions_.emplace(producer->transaction_first_offset, id);
        }
      }
      if (!reader.ok()) {
        break;
      }
      partition->advance_high_watermark(partition->log_end_offset_);
    }
    if (reader.ok()) {
      state.topics.add(*std::move(topic));
    }
  }
  decoded.coordinators = reader.read_sized_bytes();
  if (version >= 2) {
    read_journal_files(reader, decoded.journal);
  }
  if (!reader.ok() || reader.remaining() != 0) {
    return fail_damaged(Damage::kCheckpointDoesNotDecode, "body");
  }
  return decoded;
}

Task<Status> LogState::write_checkpoint(LogState& state, std::shared_ptr<bool> alive) {
  Buffer checkpoint = CheckpointCodec::encode(state, state.environment.scheduler.now());
  const JournalTail tail = co_await io::await_callback<JournalTail>(
      [&state](auto callback) { state.journal->mark(std::move(callback)); });
  CO_RETURN_IF_ERROR(unless_closed(alive));
  // The journal lets go of the entries that tell what is to be removed.
  while (state.has_removals_before(tail.position)) {
    co_await state.files_removed.wait();
    CO_RETURN_IF_ERROR(unless_closed(alive));
  }
  if (state.journal->has_failed()) {
    co_return onceflow::fail(ErrorCode::kIo, "the disk has failed before");
  }
  CO_RETURN_IF_ERROR(co_await sync_partitions(state, alive));
  if (state.last_removal > tail.position) {
    // What was removed since the snapshot was not synced above, so the entry that removes it must
    // survive if this checkpoint does.
    co_await io::await_callback<bool>([&state](auto callback) {
      state.journal->when_durable(state.last_removal,
                                  [then = std::move(callback)]() mutable { then(true); });
    });
    CO_RETURN_IF_ERROR(unless_closed(alive));
    CO_RETURN_IF_ERROR(state.journal->sync());
  }
  if (std::exchange(state.topics_directory_unsynced, false)) {
    CO_RETURN_IF_ERROR(unless_closed(
        alive, co_await state.environment.disk.sync_directory_later(state.topics_directory())));
  }
  const std::uint64_t sequence = state.checkpoint_sequence + 1;
  CheckpointCodec::set_tail(checkpoint, state, tail, sequence);
  const std::string path = state.options.directory + "/" + checkpoint_file_name(sequence);
  const auto exists = state.environment.disk.exists(path);
  CO_RETURN_IF_ERROR(exists);
  auto opened = state.environment.disk.open(path, io::OpenMode::kCreate);
  CO_RETURN_IF_ERROR(opened);
  const std::shared_ptr<io::File> file = *std::move(opened);
  CO_RETURN_IF_ERROR(file->truncate(checkpoint.size()));
  CO_RETURN_IF_ERROR(file->write_at(0, checkpoint));
  CO_RETURN_IF_ERROR(unless_closed(alive, co_await file->sync_later()));
  if (!*exists) {
    CO_RETURN_IF_ERROR(unless_closed(
        alive, co_await state.environment.disk.sync_directory_later(state.options.directory)));
  }
  state.checkpoint_sequence = sequence;
  ++state.statistics.checkpoint_count;
  state.journal->release_before(tail.position);
  co_return Status{};
}

Task<void> run_checkpoint(LogState& state, std::shared_ptr<bool> alive) {
  Status status = co_await LogState::write_checkpoint(state, alive);
  if (!*alive) {
    co_return;
  }
  if (!status) {
    Error error = status.error();
    error.text = "checkpoint: " + error.text;
    state.fail(error);
  }
  state.last_checkpoint = std::move(status);
  state.is_checkpointing = false;
  state.checkpoint_done.notify_all();
}

}  // namespace onceflow::log
