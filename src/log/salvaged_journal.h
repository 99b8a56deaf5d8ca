// SalvagedJournal: the frames of a journal that can be read, in their order, over damage. Reads
// alone; owned by a Salvage.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "io/disk.h"
#include "log/journal_reader.h"

namespace onceflow::log {

class SalvagedJournal {
 public:
  /// Finds the frames behind `from`; with an id of 0 those of the journal that most frames are of.
  static Result<SalvagedJournal> open(io::Disk& disk, const std::string& directory,
                                      std::uint64_t journal_id, JournalPosition from);

  /// Stretches of the stream that cannot be read, between frames that can.
  struct Gap {
    JournalPosition from;
    JournalPosition next;
  };
  const std::vector<Gap>& gaps() const { return gaps_; }
  /// A start that has found the journal's end at `end` has given up what lies behind a gap there.
  void give_up_behind_gap_at(JournalPosition end);
  std::uint64_t journal_id() const { return journal_id_; }
  /// Of the first frame, and behind the last one; both `from` if there is none.
  JournalPosition begin() const { return begin_; }
  JournalPosition end() const { return end_; }

  /// Every entry in order. May be called again. What does not decode ends its frame.
  Status for_each(const std::function<Status(const JournalEntry&)>& visit);

 private:
  struct Frame {
    FrameHeader header;
    std::size_t file = 0;
    std::uint64_t offset = 0;
  };
  Status find_frames(std::size_t file);
  void choose(JournalPosition from);

  std::vector<std::unique_ptr<io::File>> files_;
  std::vector<Frame> frames_;
  std::vector<Gap> gaps_;
  std::uint64_t journal_id_ = 0;
  JournalPosition begin_;
  JournalPosition end_;
};

}  // namespace onceflow::log
