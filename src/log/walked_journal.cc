#include "log/walked_journal.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "base/crc32c.h"
#include "base/wire.h"
#include "log/entries.h"
#include "log/format.h"
#include "log/journal_note.h"
#include "log/log.h"
#include "protocol/record_batch.h"

namespace onceflow::log {
namespace {

struct OpenedFile {
  std::string path;
  std::unique_ptr<io::File> file;
  std::uint64_t size_bytes = 0;
};

struct FramePlace {
  const OpenedFile* file = nullptr;
  std::uint64_t offset = 0;
};

class JournalWalk {
 public:
  JournalWalk(io::Disk& disk, const std::string& directory, std::uint64_t boot_id,
              WalkedState& state, WalkReport& report)
      : disk_(disk),
        directory_(directory),
        boot_id_(boot_id),
        state_(state),
        report_(report),
        tail_(state.tail) {}

  Status run() {
    RETURN_IF_ERROR(open_files());
    judge_files();
    RETURN_IF_ERROR(find_start());
    if (place_.file == nullptr && state_.is_tail_durable && tail_.file_offset > 0) {
      report_.find(directory_, 0,
                   fmt::format("no file holds the place where {} was written, position {}",
                               state_.path, tail_.position.value));
    }
    while (true) {
      const auto next = find_next();
      RETURN_IF_ERROR(next);
      if (!*next) {
        return judge_end();
      }
      RETURN_IF_ERROR(take(**next));
    }
  }

 private:
  Status open_files() {
    const auto entries = disk_.list(directory_);
    if (!entries && entries.error().code == ErrorCode::kNotFound) {
      return {};  // judge_files() names what should be there
    }
    RETURN_IF_ERROR(entries);
    for (const io::DirectoryEntry& entry : *entries) {
      if (entry.is_directory || !parse_journal_file_name(entry.name)) {
        continue;
      }
      OpenedFile opened{.path = directory_ + "/" + entry.name};
      auto file = disk_.open(opened.path, io::OpenMode::kRead);
      RETURN_IF_ERROR(file);
      opened.file = std::move(*file);
      const auto size_bytes = opened.file->size();
      RETURN_IF_ERROR(size_bytes);
      opened.size_bytes = *size_bytes;
      files_.push_back(std::move(opened));
    }
    return {};
  }

  // What the checkpoint knows of never goes, and never gets smaller.
  void judge_files() {
    for (const WalkedFile& known : state_.journal_files) {
      const std::string path = directory_ + "/" + journal_file_name(known.number);
      const auto file = std::ranges::find(files_, path, &OpenedFile::path);
      if (file == files_.end()) {
        report_.find(path, 0, "this file of the journal is missing");
      } else if (file->size_bytes < known.size_bytes) {
        report_.find(path, file->size_bytes,
                     fmt::format("this file of the journal ends here, at {} of {} bytes",
                                 file->size_bytes, known.size_bytes));
      }
    }
  }

  Result<std::optional<FrameHeader>> header_at(const FramePlace& place) {
    Buffer bytes(kFrameHeaderBytes);
    const auto read_bytes = place.file->file->read_at(place.offset, bytes);
    RETURN_IF_ERROR(read_bytes);
    bytes.resize(*read_bytes);
    auto header = decode_frame_header(bytes);
    if (header && header->journal_id != tail_.journal_id) {
      header.reset();
    }
    return header;
  }

  // The file that holds the last frame before the checkpoint.
  Status find_start() {
    for (const OpenedFile& file : files_) {
      const auto first = header_at({&file, 0});
      RETURN_IF_ERROR(first);
      if (tail_.file_sequence != 0 && *first && (*first)->file_sequence == tail_.file_sequence) {
        place_ = {&file, tail_.file_offset};
      }
    }
    return {};
  }

  bool continues_chain(const FrameHeader& header) const {
    return header.position == tail_.position && header.previous_checksum == tail_.chain;
  }

  Result<bool> is_whole(const FramePlace& place, const FrameHeader& header) {
    payload_.resize(header.payload_bytes);
    if (place.offset + kFrameHeaderBytes + payload_.size() > place.file->size_bytes) {
      return false;
    }
    const auto read_bytes = place.file->file->read_at(place.offset + kFrameHeaderBytes, payload_);
    RETURN_IF_ERROR(read_bytes);
    return *read_bytes == payload_.size() && crc32c(payload_) == header.payload_checksum;
  }

  // Directly behind the last frame, or at the beginning of a file that was begun later. Leaves the
  // payload in payload_.
  Result<std::optional<FrameHeader>> find_next() {
    std::vector<FramePlace> places;
    if (place_.file != nullptr) {
      places.push_back(place_);
    }
    for (const OpenedFile& file : files_) {
      if (&file != place_.file) {
        places.push_back({&file, 0});
      }
    }
    for (const FramePlace& place : places) {
      const auto header = header_at(place);
      RETURN_IF_ERROR(header);
      const bool is_here = place.file == place_.file;
      if (!*header || !continues_chain(**header) ||
          (is_here ? (*header)->file_sequence != tail_.file_sequence
                   : (*header)->file_sequence <= tail_.file_sequence)) {
        continue;
      }
      const auto whole = is_whole(place, **header);
      RETURN_IF_ERROR(whole);
      if (*whole) {
        place_ = place;
        return header;
      }
    }
    return std::nullopt;
  }

  Status take(const FrameHeader& header) {
    ++report_.frame_count;
    WireReader reader(payload_);
    while (reader.remaining() > 0) {
      const std::uint64_t at = place_.offset + kFrameHeaderBytes + reader.position();
      const ByteView entry = reader.read_bytes(reader.read_uint32());
      if (!reader.ok() || entry.empty()) {
        find(at, "the frame is whole, but this entry does not decode");
        break;
      }
      ++report_.entry_count;
      if (const std::string wrong = apply(static_cast<EntryType>(entry[0]), entry.subspan(1));
          !wrong.empty()) {
        find(at, wrong);
      }
    }
    tail_.position = header.position + std::uint64_t{header.payload_bytes};
    tail_.file_sequence = header.file_sequence;
    tail_.chain = header.header_checksum;
    place_.offset += header.frame_bytes();
    return {};
  }

  // Empty if the entry fits what is known.
  std::string apply(EntryType type, ByteView body) {
    switch (type) {
      case EntryType::kBatch:
        return apply_batch(body);
      case EntryType::kEndTransaction:
        return apply_end_transaction(body);
      case EntryType::kRecord:
        return {};
      case EntryType::kTopicCreated:
        return apply_topic_created(body);
      case EntryType::kTopicDeleted:
        return apply_topic_deleted(body);
      case EntryType::kPartitionsAdded:
        return apply_partitions_added(body);
      case EntryType::kTopicConfigured: {
        const auto configured = decode_topic_configured(body);
        return configured && state_.topics.contains(configured->id)
                   ? std::string()
                   : "the configuration of a topic that is not there";
      }
      case EntryType::kLogStartMoved:
        return apply_log_start(body);
    }
    return fmt::format("an entry of type {}, which this version does not know",
                       static_cast<int>(type));
  }

  WalkedPartition* partition_of(const TopicIdPartition& id) {
    const auto topic = state_.topics.find(id.topic_id);
    if (topic == state_.topics.end() || id.partition.value < 0 ||
        static_cast<std::size_t>(id.partition.value) >= topic->second.partitions.size()) {
      return nullptr;
    }
    return &topic->second.partitions[static_cast<std::size_t>(id.partition.value)];
  }

  std::string apply_batch(ByteView body) {
    const auto entry = decode_batch_entry(body);
    if (!entry) {
      return "a batch entry does not decode";
    }
    const auto batch = protocol::RecordBatchView::parse(entry->batch);
    WalkedPartition* partition = partition_of(entry->partition);
    if (!batch || batch->bytes().size() != entry->batch.size() || partition == nullptr) {
      return "a batch is not whole, or its topic is not there";
    }
    const protocol::RecordBatchHeader& header = batch->header();
    if (!batch->crc_matches()) {
      return fmt::format("the checksum of the batch with base offset {} is wrong",
                         header.base_offset.value);
    }
    if (header.base_offset != partition->journal_end_offset) {
      return fmt::format("a batch with base offset {}, where {} comes next",
                         header.base_offset.value, partition->journal_end_offset.value);
    }
    partition->journal_end_offset = header.next_offset();
    return {};
  }

  std::string apply_end_transaction(ByteView body) {
    EndTransaction end;
    std::vector<Offset> offsets;
    ByteView record;
    if (!decode_end_transaction(body, end, offsets, record)) {
      return "the end of a transaction does not decode";
    }
    for (std::size_t index = 0; index < end.partitions.size(); ++index) {
      if (offsets[index] == kNoOffset) {
        continue;  // the partition did not exist
      }
      WalkedPartition* partition = partition_of(end.partitions[index]);
      if (partition == nullptr || offsets[index] != partition->journal_end_offset) {
        return fmt::format("a marker with offset {}, where {} comes next", offsets[index].value,
                           partition == nullptr ? -1 : partition->journal_end_offset.value);
      }
      partition->journal_end_offset = offsets[index] + 1;
    }
    return {};
  }

  std::string apply_topic_created(ByteView body) {
    const auto entry = decode_topic_entry(body);
    if (!entry || entry->partition_count < 0 || state_.topics.contains(entry->id)) {
      return "the creation of a topic does not decode, or it is there already";
    }
    WalkedTopic& topic = state_.topics[entry->id];
    topic.name = entry->name;
    topic.partitions.resize(static_cast<std::size_t>(entry->partition_count));
    return {};
  }

  std::string apply_topic_deleted(ByteView body) {
    const auto id = decode_topic_deleted(body);
    return id && state_.topics.erase(*id) == 1 ? "" : "the deletion of a topic that is not there";
  }

  std::string apply_partitions_added(ByteView body) {
    const auto entry = decode_partitions_added(body);
    const auto topic = entry ? state_.topics.find(entry->id) : state_.topics.end();
    if (topic == state_.topics.end() ||
        static_cast<std::size_t>(entry->partition_count) < topic->second.partitions.size()) {
      return "partitions are added to a topic that is not there, or has more";
    }
    topic->second.partitions.resize(static_cast<std::size_t>(entry->partition_count));
    return {};
  }

  std::string apply_log_start(ByteView body) {
    const auto entry = decode_log_start(body);
    WalkedPartition* partition = entry ? partition_of(entry->partition) : nullptr;
    if (partition == nullptr || entry->offset > partition->journal_end_offset) {
      return "a log start beyond the end, or of a partition that is not there";
    }
    partition->log_start_offset = std::max(partition->log_start_offset, entry->offset);
    return {};
  }

  // Nothing continues the stream. If a later frame says that more was on the device, this is
  // damage; else a write was torn, or there is no more.
  Status judge_end() {
    for (const OpenedFile& file : files_) {
      for (std::uint64_t offset = 0; offset < file.size_bytes; offset += kJournalBlockBytes) {
        const auto later = header_at({&file, offset});
        RETURN_IF_ERROR(later);
        if (*later && (*later)->durable_position > tail_.position) {
          const bool is_known = place_.file != nullptr;
          report_.find(
              is_known ? place_.file->path : directory_, is_known ? place_.offset : 0,
              fmt::format("the frame that belongs here is damaged or missing: the stream "
                          "ends at position {}, and {} says that it was durable up to {}",
                          tail_.position.value, file.path, (*later)->durable_position.value));
          return {};
        }
      }
    }
    return judge_note();
  }

  // Outside of the journal, so that it knows of an end that is gone.
  Status judge_note() {
    if (state_.version < 2) {
      return {};
    }
    const std::string path = journal_note_path(io::parent_directory(directory_));
    const auto exists = disk_.exists(path);
    RETURN_IF_ERROR(exists);
    if (!*exists) {
      report_.find(path, 0, "the note of how far the journal is durable is missing");
      return {};
    }
    const auto bytes = io::read_file(disk_, path);
    RETURN_IF_ERROR(bytes);
    const auto note = decode_journal_note(*bytes);
    if (!note || note->journal_id != tail_.journal_id) {
      report_.find(path, 0,
                   note ? "the note of how far the journal is durable belongs to another log"
                        : "the note of how far the journal is durable is damaged");
      return {};
    }
    const JournalPosition durable = known_durable(*note, boot_id_);
    if (tail_.position < durable) {
      report_.find(place_.file != nullptr ? place_.file->path : directory_,
                   place_.file != nullptr ? place_.offset : 0,
                   fmt::format("the journal ends at position {}, and {} says that it was durable "
                               "up to {}",
                               tail_.position.value, path, durable.value));
    }
    return {};
  }

  void find(std::uint64_t position, std::string what) {
    report_.find(place_.file->path, position, std::move(what));
  }

  io::Disk& disk_;
  const std::string& directory_;
  const std::uint64_t boot_id_;
  WalkedState& state_;
  WalkReport& report_;
  WalkedTail tail_;
  std::vector<OpenedFile> files_;
  FramePlace place_;  ///< where the next frame would be, in the file of the last one
  Buffer payload_;
};

}  // namespace

Status walk_journal(io::Disk& disk, const std::string& directory, std::uint64_t boot_id,
                    WalkedState& state, WalkReport& report) {
  return JournalWalk(disk, directory, boot_id, state, report).run();
}

}  // namespace onceflow::log
