#include "log/salvaged_journal.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "base/crc32c.h"
#include "base/wire.h"
#include "log/file_window.h"

namespace onceflow::log {

Result<SalvagedJournal> SalvagedJournal::open(io::Disk& disk, const std::string& directory,
                                              std::uint64_t journal_id, JournalPosition from) {
  SalvagedJournal journal;
  journal.journal_id_ = journal_id;
  journal.begin_ = journal.end_ = from;
  const auto exists = disk.exists(directory);
  RETURN_IF_ERROR(exists);
  if (!*exists) {
    return journal;
  }
  const auto entries = disk.list(directory);
  RETURN_IF_ERROR(entries);
  for (const io::DirectoryEntry& entry : *entries) {
    if (entry.is_directory || !parse_journal_file_name(entry.name)) {
      continue;
    }
    auto file = disk.open(directory + "/" + entry.name, io::OpenMode::kRead);
    RETURN_IF_ERROR(file);
    journal.files_.push_back(*std::move(file));
    RETURN_IF_ERROR(journal.find_frames(journal.files_.size() - 1));
  }
  journal.choose(from);
  return journal;
}

Status SalvagedJournal::find_frames(std::size_t file) {
  FileWindow window(*files_[file]);
  for (std::uint64_t offset = 0;;) {
    const auto head = window.view(offset, kFrameHeaderBytes);
    RETURN_IF_ERROR(head);
    if (head->size() < kFrameHeaderBytes) {
      return {};
    }
    const auto header = decode_frame_header(*head);
    bool is_whole = false;
    if (header) {
      const auto frame = window.view(offset, kFrameHeaderBytes + header->payload_bytes);
      RETURN_IF_ERROR(frame);
      is_whole = frame->size() == kFrameHeaderBytes + header->payload_bytes &&
                 crc32c(frame->subspan(kFrameHeaderBytes)) == header->payload_checksum;
    }
    if (is_whole) {
      frames_.push_back({*header, file, offset});
    }
    offset += is_whole ? header->frame_bytes() : kJournalBlockBytes;
  }
}

// Of frames at one position that which the chain names, else the one of the latest use of a file:
// the others were cut off by an earlier recovery.
void SalvagedJournal::give_up_behind_gap_at(JournalPosition end) {
  const auto gap = std::ranges::find_if(gaps_, [&](const Gap& each) { return each.from >= end; });
  if (gap == gaps_.end()) {
    return;
  }
  end_ = gap->from;
  std::erase_if(frames_, [&](const Frame& frame) { return frame.header.position >= end_; });
  gaps_.erase(gap, gaps_.end());
}

void SalvagedJournal::choose(JournalPosition from) {
  const bool knows_begin = journal_id_ != 0;
  if (!knows_begin) {
    std::map<std::uint64_t, std::size_t> counts;
    for (const Frame& frame : frames_) {
      ++counts[frame.header.journal_id];
    }
    const auto most =
        std::ranges::max_element(counts, {}, [](const auto& count) { return count.second; });
    journal_id_ = most == counts.end() ? 0 : most->first;
  }
  std::erase_if(frames_, [&](const Frame& frame) {
    return frame.header.journal_id != journal_id_ || frame.header.position < from ||
           frame.header.payload_bytes == 0;
  });
  std::ranges::sort(frames_, {}, [](const Frame& frame) {
    return std::tuple(frame.header.position, frame.header.file_sequence, frame.file, frame.offset);
  });
  std::vector<Frame> chosen;
  begin_ = knows_begin || frames_.empty() ? from : frames_.front().header.position;
  end_ = begin_;
  for (std::size_t index = 0; index < frames_.size();) {
    std::size_t behind = index;
    while (behind < frames_.size() &&
           frames_[behind].header.position == frames_[index].header.position) {
      ++behind;
    }
    std::size_t best = behind - 1;
    for (std::size_t each = index; each < behind; ++each) {
      const bool is_next = !chosen.empty() && frames_[each].header.previous_checksum ==
                                                  chosen.back().header.header_checksum;
      best = is_next ? each : best;
    }
    const FrameHeader& header = frames_[best].header;
    if (header.position >= end_) {  // else it lies inside of another: it was cut off
      if (header.position > end_) {
        gaps_.push_back({end_, header.position});
      }
      end_ = header.position + std::uint64_t{header.payload_bytes};
      chosen.push_back(frames_[best]);
    }
    index = behind;
  }
  frames_ = std::move(chosen);
}

Status SalvagedJournal::for_each(const std::function<Status(const JournalEntry&)>& visit) {
  Buffer payload;
  for (const Frame& frame : frames_) {
    payload.resize(frame.header.payload_bytes);
    const auto read_bytes = files_[frame.file]->read_at(frame.offset + kFrameHeaderBytes, payload);
    RETURN_IF_ERROR(read_bytes);
    WireReader reader(payload);
    while (reader.remaining() > 0) {
      const ByteView entry = reader.read_bytes(reader.read_uint32());
      if (!reader.ok() || entry.empty()) {
        break;
      }
      RETURN_IF_ERROR(visit({static_cast<EntryType>(entry[0]), entry.subspan(1),
                             frame.header.position + std::uint64_t{reader.position()}}));
    }
  }
  return {};
}

}  // namespace onceflow::log
