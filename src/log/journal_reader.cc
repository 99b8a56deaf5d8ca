#include "log/journal_reader.h"

#include <algorithm>
#include <memory>

#include <fmt/format.h>

#include "base/crc32c.h"
#include "base/wire.h"
#include "log/damage.h"
#include "log/file_window.h"

namespace onceflow::log {

namespace {

struct SlotFile {
  std::uint32_t number = 0;
  std::string path;
  std::unique_ptr<io::File> file;
  std::optional<FrameHeader>
      first;  // of its first frame, if that has a sound header of this journal
  std::uint64_t size_bytes = 0;
  bool is_blank = false;  // the first block is all zeroes: never written
  bool visited = false;
  JournalPosition end;  // if visited: behind the last frame taken from it
};

class JournalReader {
 public:
  JournalReader(io::Disk& disk, const std::string& directory, const JournalKnown& known,
                const JournalEntrySink& sink)
      : disk_(disk),
        directory_(directory),
        known_(known),
        journal_id_(known.journal_id),
        tail_(known.tail),
        sink_(sink) {}

  Result<JournalReading> run() {
    const JournalPosition began = tail_.position;
    RETURN_IF_ERROR(open_files());
    RETURN_IF_ERROR(check_known_files());
    RETURN_IF_ERROR(follow_chain());
    RETURN_IF_ERROR(judge_end());
    JournalReading reading{.replayed_bytes = tail_.position - began, .cut = cut_};
    reading.start.journal_id = journal_id_;
    reading.start.tail = tail_;
    reading.start.released = began;
    reading.start.file_sequence_max = tail_.file_sequence;
    if (current_ == nullptr) {
      // The checkpoint's file is not there any more; a later reader finds us by the chain.
      reading.start.tail.file_sequence = 0;
      reading.start.tail.file_offset = 0;
    }
    for (const SlotFile& slot : slots_) {
      const std::uint64_t sequence = slot.first ? slot.first->file_sequence : 0;
      reading.start.file_sequence_max = std::max(reading.start.file_sequence_max, sequence);
      reading.start.slots.push_back(
          {slot.number, slot.visited ? sequence : 0, slot.end, slot.size_bytes});
    }
    return reading;
  }

 private:
  Status open_files() {
    const auto exists = disk_.exists(directory_);
    RETURN_IF_ERROR(exists);
    if (!*exists) {
      return {};
    }
    const auto entries = disk_.list(directory_);
    RETURN_IF_ERROR(entries);
    for (const io::DirectoryEntry& entry : *entries) {
      const auto number = parse_journal_file_name(entry.name);
      if (!number || entry.is_directory) {
        continue;
      }
      SlotFile slot{.number = *number, .path = directory_ + "/" + entry.name};
      auto file = disk_.open(slot.path, io::OpenMode::kReadWrite);
      RETURN_IF_ERROR(file);
      slot.file = std::move(*file);
      Buffer block(kJournalBlockBytes, std::byte{0});
      const auto read_bytes = slot.file->read_at(0, block);
      RETURN_IF_ERROR(read_bytes);
      slot.first = decode_frame_header(block);
      if (slot.first && slot.first->journal_id != journal_id_) {
        slot.first.reset();
      }
      // What a dying process left in the page cache must not be believed and then lost; nor may its
      // zeroes come to the device later, over frames of the next life.
      RETURN_IF_ERROR(slot.file->sync());
      const auto size_bytes = slot.file->size();
      RETURN_IF_ERROR(size_bytes);
      slot.size_bytes = *size_bytes;
      slot.is_blank = std::ranges::all_of(block, [](std::byte b) { return b == std::byte{0}; });
      slots_.push_back(std::move(slot));
    }
    return {};
  }

  Status check_known_files() {
    for (const JournalFile& file : known_.files) {
      const auto slot = std::ranges::find(slots_, file.number, &SlotFile::number);
      const std::string path = directory_ + "/" + journal_file_name(file.number);
      if (slot == slots_.end()) {
        return fail_damaged(Damage::kJournalFileMissing, path);
      }
      if (slot->size_bytes < file.size_bytes) {
        return fail_damaged(Damage::kJournalFileShort, path,
                            fmt::format("it has {} bytes, the checkpoint knows of {}",
                                        slot->size_bytes, file.size_bytes));
      }
    }
    return {};
  }

  Status follow_chain() {
    for (SlotFile& slot : slots_) {
      if (tail_.file_sequence != 0 && slot.first &&
          slot.first->file_sequence == tail_.file_sequence) {
        enter(slot);
      }
    }
    if (current_ == nullptr && known_.is_tail_durable && tail_.file_offset > 0) {
      return fail_damaged(Damage::kJournalNotAtCheckpoint, directory_,
                          fmt::format("position {}", tail_.position.value));
    }
    while (true) {
      const auto taken = current_ != nullptr ? take_frame() : Result<bool>(false);
      RETURN_IF_ERROR(taken);
      if (!*taken && !enter_next_file()) {
        return {};
      }
    }
  }

  void enter(SlotFile& slot) {
    current_ = &slot;
    slot.visited = true;
    slot.end = tail_.position;
    window_ = std::make_unique<FileWindow>(*slot.file);
  }

  // The file whose first frame continues the chain.
  bool enter_next_file() {
    for (SlotFile& slot : slots_) {
      if (!slot.visited && slot.first && continues_chain(*slot.first) &&
          slot.first->file_sequence > tail_.file_sequence && first_frame_is_whole(slot)) {
        tail_.file_sequence = slot.first->file_sequence;
        tail_.file_offset = 0;
        enter(slot);
        return true;
      }
    }
    return false;
  }

  bool first_frame_is_whole(SlotFile& slot) {
    FileWindow window(*slot.file);
    const auto bytes = window.view(0, slot.first->frame_bytes());
    return bytes && payload_is_whole(*slot.first, *bytes);
  }

  bool continues_chain(const FrameHeader& header) const {
    return header.journal_id == journal_id_ && header.position == tail_.position &&
           header.previous_checksum == tail_.chain;
  }

  static bool payload_is_whole(const FrameHeader& header, ByteView frame) {
    return frame.size() >= kFrameHeaderBytes + header.payload_bytes &&
           crc32c(frame.subspan(kFrameHeaderBytes, header.payload_bytes)) ==
               header.payload_checksum;
  }

  // True if the expected frame was there and is replayed.
  Result<bool> take_frame() {
    const auto head = window_->view(tail_.file_offset, kFrameHeaderBytes);
    RETURN_IF_ERROR(head);
    const auto header = decode_frame_header(*head);
    if (!header || !continues_chain(*header) || header->file_sequence != tail_.file_sequence) {
      return false;
    }
    const auto frame = window_->view(tail_.file_offset, header->frame_bytes());
    RETURN_IF_ERROR(frame);
    if (!payload_is_whole(*header, *frame)) {
      return false;
    }
    RETURN_IF_ERROR(replay(*header, frame->subspan(kFrameHeaderBytes, header->payload_bytes)));
    tail_.position = header->position + std::uint64_t{header->payload_bytes};
    tail_.file_offset += header->frame_bytes();
    tail_.chain = header->header_checksum;
    current_->end = tail_.position;
    return true;
  }

  Status replay(const FrameHeader& header, ByteView payload) {
    WireReader reader(payload);
    while (reader.remaining() > 0) {
      const std::uint32_t length = reader.read_uint32();
      const ByteView entry = reader.read_bytes(length);
      if (!reader.ok() || entry.empty()) {
        return fail_damaged(Damage::kJournalEntryDoesNotDecode, end_place());
      }
      const JournalPosition end = header.position + std::uint64_t{reader.position()};
      auto status = sink_({static_cast<EntryType>(entry[0]), entry.subspan(1), end});
      if (!status) {
        Error error = std::move(status).error();
        error.text =
            fmt::format("{}: frame at byte {}: {}", current_->path, tail_.file_offset, error.text);
        return std::unexpected(std::move(error));
      }
    }
    return {};
  }

  // The chain ends here. Was more of it durable?
  Status judge_end() {
    bool unsynced_lost = false;
    std::string torn;
    for (SlotFile& slot : slots_) {
      const bool is_current = &slot == current_;
      if (!is_current && slot.visited) {
        continue;
      }
      const std::uint64_t offset = is_current ? tail_.file_offset : 0;
      const auto is_torn = is_damaged_next_frame(slot, offset);
      RETURN_IF_ERROR(is_torn);
      if (*is_torn) {
        torn = fmt::format("{}: byte {}", slot.path, offset);
      }
      if (!is_current && (slot.is_blank || (slot.first && slot.first->position < tail_.position))) {
        continue;  // a file of before
      }
      const auto later = find_later_frame(slot, offset);
      RETURN_IF_ERROR(later);
      if (*later && (*later)->durable_position > tail_.position) {
        return refuse(slot, **later);
      }
      unsynced_lost = unsynced_lost || (*later && (*later)->position > tail_.position);
    }
    if (tail_.position < known_.durable) {
      return fail_damaged(Damage::kJournalEndsEarly, end_place(),
                          fmt::format("it was durable up to position {}, and ends at {}",
                                      known_.durable.value, tail_.position.value));
    }
    if (unsynced_lost) {
      cut_ = damage_text(Damage::kJournalUnsyncedLost, directory_,
                         fmt::format("position {}", tail_.position.value));
    } else if (!torn.empty()) {
      cut_ = damage_text(Damage::kJournalTailTorn, torn);
    }
    return {};
  }

  // What lies there is the frame that the chain goes on with, and cannot be read: it was torn, or
  // has rotted. One of these fields may be what is damaged; frames of older laps share but the
  // first two.
  Result<bool> is_damaged_next_frame(SlotFile& slot, std::uint64_t offset) {
    FileWindow window(*slot.file);
    const auto head = window.view(offset, kFrameHeaderBytes);
    RETURN_IF_ERROR(head);
    if (head->size() < kFrameHeaderBytes) {
      return false;
    }
    const FrameHeader found = read_frame_header(*head);
    const auto magic = wire::load_big_endian<std::uint32_t>(head->data());
    const int right_count = (magic == kFrameMagic ? 1 : 0) +
                            (found.journal_id == journal_id_ ? 1 : 0) +
                            (found.position == tail_.position ? 1 : 0) +
                            (found.previous_checksum == tail_.chain ? 1 : 0);
    return right_count >= 3;
  }

  // The first frame from `offset` on that lies behind the end of the chain; the one that proves
  // most.
  Result<std::optional<FrameHeader>> find_later_frame(SlotFile& slot, std::uint64_t offset) {
    std::optional<FrameHeader> found;
    FileWindow window(*slot.file);
    for (;; offset += kJournalBlockBytes) {
      const auto head = window.view(offset, kFrameHeaderBytes);
      RETURN_IF_ERROR(head);
      if (head->size() < kFrameHeaderBytes) {
        return found;
      }
      const auto header = decode_frame_header(*head);
      if (!header || header->journal_id != journal_id_ || header->position < tail_.position) {
        continue;
      }
      if (header->durable_position > tail_.position) {
        return header;
      }
      if (header->position > tail_.position) {
        found = header;
      }
    }
  }

  // Where the next frame would be.
  std::string end_place() const {
    return current_ != nullptr ? fmt::format("{}: byte {}", current_->path, tail_.file_offset)
                               : fmt::format("{}: position {}", directory_, tail_.position.value);
  }

  Status refuse(const SlotFile& later_slot, const FrameHeader& later) {
    return fail_damaged(
        Damage::kJournalDamagedInside, end_place(),
        fmt::format("up to position {}, says {}", later.durable_position.value, later_slot.path));
  }

  io::Disk& disk_;
  const std::string& directory_;
  const JournalKnown& known_;
  const std::uint64_t journal_id_;
  JournalTail tail_;
  const JournalEntrySink& sink_;
  std::vector<SlotFile> slots_;
  SlotFile* current_ = nullptr;
  std::unique_ptr<FileWindow> window_;
  std::string cut_;
};

}  // namespace

Result<JournalReading> read_journal(io::Disk& disk, const std::string& directory,
                                    const JournalKnown& known, const JournalEntrySink& sink) {
  return JournalReader(disk, directory, known, sink).run();
}

}  // namespace onceflow::log
