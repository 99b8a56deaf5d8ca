// Recovery: from what is on disk to a log that may serve. Blocks; nothing is served before it is
// done.
//
// The cases, each with a test of its name in recovery_test.cc; those of the journal's stream are in
// journal_reader.h.
//
//   name                                        what is found: what is done
//   an_empty_folder_is_begun                    nothing, or a first start cut short: begin anew
//   a_clean_log_is_opened                       a checkpoint, nothing behind it: open
//   the_journal_is_replayed_on_the_checkpoint   a checkpoint and a journal behind it: replay
//   the_older_checkpoint_serves                 the newest was torn: go on from the one before
//   a_lost_checkpoint_is_refused                both damaged or gone, with data there: refuse
//   a_damaged_checkpoint_whose_journal_is_gone_is_refused
//                                               as read_journal says: refuse
//   a_newer_format_is_refused                   a higher version: refuse
//   a_start_that_refuses_changes_nothing        any damage behind the checkpoint: before replay
//   a_short_segment_is_refused                  shorter than the checkpoint says: refuse
//   a_missing_or_exchanged_segment_is_refused   not there, or of another size: refuse
//   a_missing_note_is_refused                   journal.durable is gone or damaged: refuse
//   a_lost_end_of_the_journal_is_refused        the note says that more was durable: refuse
//   an_overlong_segment_is_cut                  longer than the checkpoint says: cut, replay
//   a_missing_index_is_built_again              none, or it does not fit: by its first reader
//   another_process_has_the_folder              the lock is held: kLocked
#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "log/damage.h"
#include "log/journal_note.h"
#include "log/journal_reader.h"
#include "log/log_state.h"

namespace onceflow::log {

using onceflow::fail;

namespace {
constexpr std::uint64_t kReplayFlushBytes = 256u << 10;
// How far the journal may run ahead of its checkpoint before producers have to wait, for recovery
// has to read it all: 0.56 s for 3 times the default from the device, measured, where half a second
// is promised. With log.flush=os it is read from the page cache, in half of the time.
constexpr std::uint64_t kCheckpointsBehindMax = 2;
constexpr std::uint64_t kCheckpointsBehindMaxInCache = 4;

std::unexpected<Error> nonsense(std::string_view what) {
  return fail_damaged(Damage::kJournalDoesNotFit, "entry", what);
}
}  // namespace

void Recovery::report(ErrorCode code, std::string text) {
  if (state_.options.on_damage) {
    state_.options.on_damage({code, std::move(text), onceflow::Recovery::kRetriable});
  }
}

Status Recovery::run() {
  const MonotonicTime began = state_.environment.scheduler.now();
  io::Disk& disk = state_.environment.disk;
  const std::string& directory = state_.options.directory;
  const auto exists = disk.exists(directory);
  RETURN_IF_ERROR(exists);
  if (!*exists) {
    RETURN_IF_ERROR(disk.make_directory(directory));
    RETURN_IF_ERROR(disk.sync_directory(io::parent_directory(directory)));
  }
  auto lock = disk.lock_directory(directory);
  RETURN_IF_ERROR(lock);
  state_.lock = *std::move(lock);
  RETURN_IF_ERROR(make_names_durable());
  RETURN_IF_ERROR(make_journal_durable());

  const auto checkpoint = read_checkpoint();
  RETURN_IF_ERROR(checkpoint);
  JournalKnown known;
  if (*checkpoint) {
    auto adopted = adopt_checkpoint(**checkpoint, began);
    RETURN_IF_ERROR(adopted);
    known = *std::move(adopted);
  } else {
    RETURN_IF_ERROR(begin_anew());
    known.journal_id = state_.journal_id;
  }

  RETURN_IF_ERROR(look_before_change(known));
  state_.count_producers();
  auto reading = read_journal(disk, state_.journal_directory(), known,
                              [this](const JournalEntry& entry) { return replay(entry); });
  RETURN_IF_ERROR(reading);
  if (!reading->cut.empty() && state_.environment.seeded_bug != SeededBug::kCutInSilence) {
    report(ErrorCode::kCorrupt, reading->cut);
  }
  RETURN_IF_ERROR(adopt_rest());
  state_.count_producers();

  state_.journal =
      std::make_unique<Journal>(state_.environment,
                                JournalOptions{
                                    .directory = state_.journal_directory(),
                                    .flush = state_.options.flush,
                                    .first_file_bytes = state_.options.journal_first_file_bytes,
                                    .file_bytes = state_.options.journal_file_bytes,
                                    .buffered_bytes_max = state_.options.journal_buffered_bytes_max,
                                    .retained_bytes_max = state_.options.checkpoint_every_bytes *
                                                          (state_.options.flush == FlushMode::kOs
                                                               ? kCheckpointsBehindMaxInCache
                                                               : kCheckpointsBehindMax),
                                    .free_bytes_min = state_.options.free_bytes_min,
                                    .data_directory = directory,
                                    .boot_id = state_.options.boot_id,
                                    .on_fatal = state_.options.on_fatal,
                                },
                                std::move(reading->start));
  RETURN_IF_ERROR(state_.journal->open());
  state_.journal->on_durable(
      [state = &state_](JournalPosition position) { state->on_durable(position); });
  state_.statistics.replayed_bytes = reading->replayed_bytes;
  state_.statistics.recovery = state_.environment.scheduler.now() - began;
  return {};
}

Result<JournalKnown> Recovery::adopt_checkpoint(const CheckpointFile& checkpoint,
                                                MonotonicTime now) {
  state_.checkpoint_sequence = checkpoint.sequence;
  auto decoded = CheckpointCodec::decode(
      state_, checkpoint.version, ByteView(checkpoint.bytes).subspan(kCheckpointHeaderBytes), now);
  if (!decoded) {
    Error error = std::move(decoded).error();
    error.text = fmt::format("{}/{}: {}", state_.options.directory,
                             checkpoint_file_name(checkpoint.sequence), error.text);
    return std::unexpected(std::move(error));
  }
  state_.journal_id = decoded->journal.journal_id;
  state_.cluster_id =
      decoded->cluster_id.empty() ? state_.options.cluster_id : std::move(decoded->cluster_id);
  if (state_.environment.seeded_bug == SeededBug::kJournalFileNotChecked) {
    decoded->journal.files.clear();
    decoded->journal.is_tail_durable = false;
  } else if (checkpoint.version >= 2) {
    // Version 1 knew of no note; the first start after it makes one, before its first checkpoint.
    const auto note =
        read_journal_note(state_.environment.disk, state_.options.directory, state_.journal_id);
    RETURN_IF_ERROR(note);
    if (state_.environment.seeded_bug != SeededBug::kCutInSilence) {
      decoded->journal.durable = known_durable(*note, state_.options.boot_id);
    }
  }
  if (!decoded->coordinators.empty()) {
    RETURN_IF_ERROR(listener_.on_snapshot(decoded->coordinators));
  }
  return std::move(decoded->journal);
}

// A process that was killed may have made, renamed or filled files without getting to sync them.
// All that is seen now, but the next crash of the machine would take it: first it is made to stay.
Status Recovery::make_names_durable() {
  io::Disk& disk = state_.environment.disk;
  const std::string& directory = state_.options.directory;
  for (const std::string& folder : {io::parent_directory(directory), directory,
                                    state_.topics_directory(), state_.journal_directory()}) {
    const auto exists = disk.exists(folder);
    RETURN_IF_ERROR(exists);
    if (*exists) {
      RETURN_IF_ERROR(disk.sync_directory(folder));
    }
  }
  return {};
}

// Likewise for what it holds, which replay brings into the segments: a segment has nothing that the
// journal may lose.
Status Recovery::make_journal_durable() {
  io::Disk& disk = state_.environment.disk;
  const std::string directory = state_.journal_directory();
  const auto exists = disk.exists(directory);
  RETURN_IF_ERROR(exists);
  if (!*exists || state_.options.flush != FlushMode::kDurable) {
    return {};
  }
  const auto entries = disk.list(directory);
  RETURN_IF_ERROR(entries);
  for (const io::DirectoryEntry& entry : *entries) {
    if (!entry.is_directory && parse_journal_file_name(entry.name)) {
      const auto file = disk.open(directory + "/" + entry.name, io::OpenMode::kReadWrite);
      RETURN_IF_ERROR(file);
      RETURN_IF_ERROR((*file)->sync());
    }
  }
  return {};
}

// Replay writes: it cuts segments, fills them and moves folders away. What is damaged is named
// before that, so that it can be put right, or saved, as it was.
Status Recovery::look_before_change(const JournalKnown& known) {
  std::set<TopicId> deleted;
  std::map<TopicIdPartition, Offset> log_starts;
  RETURN_IF_ERROR(read_journal(state_.environment.disk, state_.journal_directory(), known,
                               [&](const JournalEntry& entry) {
                                 if (entry.type == EntryType::kTopicDeleted) {
                                   if (const auto id = decode_topic_deleted(entry.body)) {
                                     deleted.insert(*id);
                                   }
                                 } else if (entry.type == EntryType::kLogStartMoved) {
                                   if (const auto moved = decode_log_start(entry.body)) {
                                     Offset& start = log_starts[moved->partition];
                                     start = std::max(start, moved->offset);
                                   }
                                 }
                                 return Status{};
                               }));
  for (const auto& [name, topic] : state_.topics.by_name()) {
    if (deleted.contains(topic->id)) {
      continue;
    }
    for (const auto& partition : topic->partitions) {
      const auto moved = log_starts.find(partition->id());
      RETURN_IF_ERROR(partition->segments_.look_at_files(
          moved == log_starts.end() ? partition->log_start_offset() : moved->second));
    }
  }
  return {};
}

// --- Checkpoints ---

Result<std::optional<Recovery::CheckpointFile>> Recovery::read_checkpoint() {
  std::optional<CheckpointFile> newest;
  std::string damaged;
  for (std::uint64_t slot = 0; slot < 2; ++slot) {
    const std::string path = state_.options.directory + "/" + checkpoint_file_name(slot);
    const auto exists = state_.environment.disk.exists(path);
    RETURN_IF_ERROR(exists);
    if (!*exists) {
      continue;
    }
    auto bytes = io::read_file(state_.environment.disk, path);
    RETURN_IF_ERROR(bytes);
    RETURN_IF_ERROR(check_checkpoint_version(path, *bytes));
    const auto header = decode_checkpoint_header(*bytes);
    const bool is_whole =
        header && header->body_bytes == bytes->size() - kCheckpointHeaderBytes &&
        header->body_checksum == crc32c(ByteView(*bytes).subspan(kCheckpointHeaderBytes));
    if (!is_whole) {
      damaged = path;
    } else if (!newest || header->sequence > newest->sequence) {
      newest = CheckpointFile{header->version, header->sequence, *std::move(bytes)};
    }
  }
  if (!newest) {
    RETURN_IF_ERROR(check_nothing_is_there(damaged));
  } else if (!damaged.empty()) {
    report(ErrorCode::kCorrupt, damage_text(Damage::kCheckpointTorn, damaged));
  }
  if (newest) {
    RETURN_IF_ERROR(write_again(*newest));
  }
  return newest;
}

// It may be in the page cache alone: its writer was killed before the sync, or the sync failed,
// after which the system shows what the device does not have and has nothing left to sync. To go on
// from it is to release the journal that the one before needs, so it is made durable first.
Status Recovery::write_again(const CheckpointFile& checkpoint) {
  const auto file = state_.environment.disk.open(
      state_.options.directory + "/" + checkpoint_file_name(checkpoint.sequence),
      io::OpenMode::kReadWrite);
  RETURN_IF_ERROR(file);
  RETURN_IF_ERROR((*file)->write_at(0, checkpoint.bytes));
  return (*file)->sync();
}

// A first start that was interrupted leaves no frame in the journal and no topic.
Status Recovery::check_nothing_is_there(const std::string& damaged) {
  io::Disk& disk = state_.environment.disk;
  bool is_empty = true;
  for (const std::string& directory : {state_.topics_directory(), state_.journal_directory()}) {
    const auto exists = disk.exists(directory);
    RETURN_IF_ERROR(exists);
    if (!*exists) {
      continue;
    }
    const auto entries = disk.list(directory);
    RETURN_IF_ERROR(entries);
    for (const io::DirectoryEntry& entry : *entries) {
      if (entry.is_directory) {
        is_empty = false;
        continue;
      }
      auto file = disk.open(directory + "/" + entry.name, io::OpenMode::kRead);
      RETURN_IF_ERROR(file);
      Buffer block(kJournalBlockBytes, std::byte{0});
      const auto read_bytes = (*file)->read_at(0, block);
      RETURN_IF_ERROR(read_bytes);
      is_empty = is_empty &&
                 std::ranges::all_of(block, [](std::byte octet) { return octet == std::byte{0}; });
    }
  }
  if (is_empty) {
    return {};
  }
  return damaged.empty() ? fail_damaged(Damage::kNoCheckpoint, state_.options.directory)
                         : fail_damaged(Damage::kNoWholeCheckpoint, damaged);
}

Status Recovery::check_checkpoint_version(const std::string& path, ByteView bytes) {
  const auto version = checkpoint_version(bytes);
  if (version && *version > kCheckpointVersion) {
    return fail_damaged(
        Damage::kNewerFormat, path,
        fmt::format("format {}, this one reads up to {}", *version, kCheckpointVersion));
  }
  return {};
}

Status Recovery::begin_anew() {
  io::Disk& disk = state_.environment.disk;
  state_.journal_id = state_.environment.random.next();
  RETURN_IF_ERROR(disk.make_directory(state_.topics_directory()));
  RETURN_IF_ERROR(disk.make_directory(state_.journal_directory()));
  // Where there is a checkpoint there are its folders, also if the machine goes down in between.
  RETURN_IF_ERROR(disk.sync_directory(state_.options.directory));
  state_.cluster_id = state_.options.cluster_id;
  RETURN_IF_ERROR(
      make_journal_note(disk, state_.options.directory, {.journal_id = state_.journal_id}));
  Buffer checkpoint = CheckpointCodec::encode(state_, state_.environment.scheduler.now());
  state_.checkpoint_sequence = 1;
  CheckpointCodec::set_tail(checkpoint, state_, JournalTail{}, state_.checkpoint_sequence);
  return io::replace_file(
      disk, state_.options.directory + "/" + checkpoint_file_name(state_.checkpoint_sequence),
      checkpoint);
}

// --- Replay ---

Status Recovery::replay(const JournalEntry& entry) {
  switch (entry.type) {
    case EntryType::kBatch:
      return replay_batch(entry);
    case EntryType::kEndTransaction:
      return replay_end_transaction(entry);
    case EntryType::kRecord:
      return listener_.on_record(entry.body);
    case EntryType::kTopicCreated:
      return replay_topic_created(entry);
    case EntryType::kTopicDeleted:
      return replay_topic_deleted(entry);
    case EntryType::kPartitionsAdded:
    case EntryType::kTopicConfigured:
      return replay_topic_change(entry);
    case EntryType::kLogStartMoved:
      return replay_log_start(entry);
  }
  return fail(ErrorCode::kUnsupported,
              fmt::format("an entry of type {}, which this version does not know",
                          static_cast<int>(entry.type)));
}

Status Recovery::make_durable(Partition& partition, Segment& segment) {
  segment.set_durable(segment.size_bytes());
  partition.advance_high_watermark(partition.log_end_offset_);
  return partition.segments_.flush(kReplayFlushBytes);
}

Status Recovery::replay_batch(const JournalEntry& entry) {
  const auto decoded = decode_batch_entry(entry.body);
  if (!decoded) {
    return nonsense("a batch entry does not decode");
  }
  const auto batch = protocol::RecordBatchView::parse(decoded->batch);
  Partition* partition = state_.topics.find(decoded->partition);
  if (!batch || batch->bytes().size() != decoded->batch.size() || partition == nullptr) {
    return nonsense("a batch is not whole or its topic is unknown");
  }
  if (batch->header().base_offset != partition->log_end_offset_) {
    return nonsense(fmt::format("a batch of {} has base offset {}, the log ends at {}",
                                partition->segments_.directory(), batch->header().base_offset.value,
                                partition->log_end_offset_.value));
  }
  RETURN_IF_ERROR(partition->segments_.adopt_files());
  Segment& segment = partition->apply_batch({decoded->batch, nullptr}, batch->header(), entry.end,
                                            state_.environment.scheduler.now());
  return make_durable(*partition, segment);
}

Status Recovery::replay_end_transaction(const JournalEntry& entry) {
  EndTransaction end;
  std::vector<Offset> offsets;
  ByteView record;
  if (!decode_end_transaction(entry.body, end, offsets, record)) {
    return nonsense("the end of a transaction does not decode");
  }
  for (std::size_t index = 0; index < end.partitions.size(); ++index) {
    if (offsets[index] == kNoOffset) {
      continue;  // it did not exist then
    }
    Partition* partition = state_.topics.find(end.partitions[index]);
    if (partition == nullptr || offsets[index] != partition->log_end_offset_) {
      return nonsense("a marker is not where it was written");
    }
    RETURN_IF_ERROR(partition->segments_.adopt_files());
    Segment& segment = state_.apply_marker(*partition, marker_of(end));
    RETURN_IF_ERROR(make_durable(*partition, segment));
  }
  return listener_.on_end_transaction(end, record);
}

Status Recovery::replay_topic_created(const JournalEntry& entry) {
  const auto decoded = decode_topic_entry(entry.body);
  if (!decoded || state_.topics.find(decoded->id) != nullptr ||
      state_.topics.find(decoded->name) != nullptr) {
    return nonsense("the creation of a topic does not decode, or the topic is there already");
  }
  auto topic = state_.make_topic(*decoded);
  RETURN_IF_ERROR(topic);
  state_.topics.add(*std::move(topic));
  return {};
}

Status Recovery::replay_topic_deleted(const JournalEntry& entry) {
  const auto id = decode_topic_deleted(entry.body);
  if (!id || state_.topics.find(*id) == nullptr) {
    return nonsense("the deletion of a topic that is not there");
  }
  const std::unique_ptr<Topic> topic = state_.topics.remove(*id);
  for (const auto& partition : topic->partitions) {
    RETURN_IF_ERROR(state_.doom_directory(partition->segments_.directory(), *id));
  }
  listener_.on_topic_deleted(*id);
  return {};
}

Status Recovery::replay_topic_change(const JournalEntry& entry) {
  if (entry.type == EntryType::kPartitionsAdded) {
    const auto added = decode_partitions_added(entry.body);
    Topic* topic = added ? state_.topics.find(added->id) : nullptr;
    if (topic == nullptr ||
        added->partition_count < static_cast<std::int32_t>(topic->partitions.size())) {
      return nonsense("partitions are added to a topic that is not there");
    }
    const std::size_t before = topic->partitions.size();
    state_.add_partitions(*topic, added->partition_count);
    state_.topics.count_partitions(topic->partitions.size() - before);
    return {};
  }
  const auto configured = decode_topic_configured(entry.body);
  Topic* topic = configured ? state_.topics.find(configured->id) : nullptr;
  if (topic == nullptr) {
    return nonsense("a topic that is not there is configured");
  }
  auto config = apply_overrides(state_.options.topic_defaults, configured->overrides);
  RETURN_IF_ERROR(config);
  state_.topics.configure(*topic, *config, configured->overrides);
  return {};
}

Status Recovery::replay_log_start(const JournalEntry& entry) {
  const auto moved = decode_log_start(entry.body);
  Partition* partition = moved ? state_.topics.find(moved->partition) : nullptr;
  if (partition == nullptr || moved->offset > partition->log_end_offset_) {
    return nonsense("the log start of a partition that is not there has moved");
  }
  RETURN_IF_ERROR(partition->segments_.adopt_files());
  if (state_.environment.seeded_bug == SeededBug::kForgetLogStart) {
    return {};
  }
  for (std::unique_ptr<Segment>& segment : partition->apply_log_start(moved->offset)) {
    RETURN_IF_ERROR(partition->segments_.remove_files(std::move(segment)));
  }
  return {};
}

// Partitions that the journal did not speak of, and folders that wait to be removed.
Status Recovery::adopt_rest() {
  for (const auto& [name, topic] : state_.topics.by_name()) {
    for (const auto& partition : topic->partitions) {
      RETURN_IF_ERROR(partition->segments_.adopt_files());
      RETURN_IF_ERROR(partition->segments_.check_files());
      if (state_.environment.seeded_bug == SeededBug::kForgetOneOfFiveBatches) {
        partition->producers_.forget_one_of_five();
      }
    }
  }
  const auto entries = state_.environment.disk.list(state_.topics_directory());
  RETURN_IF_ERROR(entries);
  for (const io::DirectoryEntry& entry : *entries) {
    const std::string path = state_.topics_directory() + "/" + entry.name;
    if (entry.is_directory && entry.name.ends_with(kDeletedSuffix)) {
      state_.doom(path);
    }
  }
  return {};
}

}  // namespace onceflow::log
