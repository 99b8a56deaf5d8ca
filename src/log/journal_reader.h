// read_journal: replays the stream from a checkpoint's position to its end, and finds where that
// is. Called once, by recovery, before anything is served.
//
// The cases, each with a test of its name in journal_reader_test.cc. "Expected" is where the chain
// says that the next frame must be: behind the last one in its file, or first in another file.
//
//   name                                      what is found: what is done
//   no_files_is_an_empty_stream               nothing: begin
//   frames_are_replayed_in_order              a frame that continues the chain: go on
//   stream_goes_on_in_the_next_file           it lies first in another file: go on
//   frame_of_an_older_lap_is_the_end          a frame, but not of the chain: end of stream
//   frame_of_another_journal_is_the_end       a frame of another journal: end of stream
//   torn_last_frame_is_cut                    no frame; no later one says it was durable: cut
//   damage_before_a_durable_frame_is_refused  no frame; a later one says it was: refuse
//   damage_to_a_sealed_frame_is_refused       the same, where the later one is a seal: refuse
//   damaged_first_frame_of_a_file_is_refused  the same, at the beginning of a file: refuse
//   lost_unsynced_frames_are_cut              the same in log.flush=os, never synced: cut
//   nonsense_in_a_valid_frame_is_refused      an entry that does not decode: refuse
//   a_missing_or_short_file_is_refused        a file that the checkpoint knows: refuse
//   an_end_that_the_note_contradicts_is_refused
//                                             the note says that more was durable: refuse
#pragma once

#include <functional>
#include <string>

#include "base/result.h"
#include "io/disk.h"
#include "log/journal.h"

namespace onceflow::log {

struct JournalEntry {
  EntryType type;
  ByteView body;        ///< valid during the call
  JournalPosition end;  ///< just behind the entry
};
using JournalEntrySink = std::function<Status(const JournalEntry&)>;

struct JournalReading {
  JournalStart start;  ///< for the Journal that goes on
  std::uint64_t replayed_bytes = 0;
  std::string cut;  ///< not empty: what was cut off, in a sentence
};

/// What is known of the journal before it is read.
struct JournalKnown {
  std::uint64_t journal_id = 0;
  JournalTail tail;                ///< of the checkpoint: reading begins here
  bool is_tail_durable = false;    ///< the frame before it was on the device
  std::vector<JournalFile> files;  ///< must be there, and as large
  JournalPosition durable;         ///< all before this was durable, as the note says
};

/// Reads the files of `directory` and gives every entry from `known.tail` on to `sink`. What it has
/// read is durable when it returns: a frame that a dying process left in the page cache is synced
/// first.
Result<JournalReading> read_journal(io::Disk& disk, const std::string& directory,
                                    const JournalKnown& known, const JournalEntrySink& sink);

}  // namespace onceflow::log
