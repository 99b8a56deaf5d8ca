#include "log/journal_note.h"

#include "log/damage.h"

namespace onceflow::log {

std::string journal_note_path(const std::string& data_directory) {
  return data_directory + "/" + std::string(kJournalNoteFileName);
}

Status make_journal_note(io::Disk& disk, const std::string& data_directory,
                         const JournalNote& note) {
  Buffer bytes(kJournalNoteBytes);
  encode_journal_note(note, bytes.data());
  return io::replace_file(disk, journal_note_path(data_directory), bytes);
}

Result<JournalNote> read_journal_note(io::Disk& disk, const std::string& data_directory,
                                      std::uint64_t journal_id) {
  const std::string path = journal_note_path(data_directory);
  const auto exists = disk.exists(path);
  RETURN_IF_ERROR(exists);
  if (!*exists) {
    return fail_damaged(Damage::kJournalNoteMissing, path);
  }
  const auto bytes = io::read_file(disk, path);
  RETURN_IF_ERROR(bytes);
  const auto note = decode_journal_note(*bytes);
  if (!note) {
    return fail_damaged(Damage::kJournalNoteDamaged, path);
  }
  if (note->journal_id != journal_id) {
    return fail_damaged(Damage::kJournalNoteForeign, path);
  }
  return *note;
}

JournalPosition known_durable(const JournalNote& note, std::uint64_t boot_id) {
  return boot_id != 0 && note.boot_id == boot_id ? note.position : note.synced_position;
}

}  // namespace onceflow::log
