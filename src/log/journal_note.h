// JournalNote on disk: how far the journal is durable, told outside of it
// (docs/formats/journal.md). A journal whose end is gone looks like one that ends sooner; the note
// says that it did not. Owned by the Journal, on its thread; read by recovery and by the walker.
#pragma once

#include <memory>
#include <string>

#include "io/disk.h"
#include "log/format.h"

namespace onceflow::log {

std::string journal_note_path(const std::string& data_directory);

/// The note of a new log, durable with its name: before its first checkpoint.
Status make_journal_note(io::Disk& disk, const std::string& data_directory,
                         const JournalNote& note);

/// kCorrupt, by name, if it is missing, damaged or of another journal.
Result<JournalNote> read_journal_note(io::Disk& disk, const std::string& data_directory,
                                      std::uint64_t journal_id);

/// All before this was durable when the machine's present life, `boot_id`, began or goes on.
JournalPosition known_durable(const JournalNote& note, std::uint64_t boot_id);

}  // namespace onceflow::log
