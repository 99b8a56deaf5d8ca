#include "log/damage.h"

#include <fmt/format.h>

#include <array>

#include "base/check.h"

namespace onceflow::log {

namespace {

constexpr std::string_view kRestoreOrSalvage =
    "Nothing was changed and the log does not start. Restore the data directory from a copy, or "
    "save what can be read with `onceflow salvage DIR --to NEW_DIR`";
constexpr std::string_view kPutBackOrSalvage =
    "Nothing was changed and the log does not start. Put the file back if it was moved, restore "
    "the data directory from a copy, or save what can be read with `onceflow salvage DIR --to "
    "NEW_DIR`";
constexpr std::string_view kStopAndSalvage =
    "What is whole around it is served. Stop the log and restore the data directory from a copy, "
    "or save what can be read with `onceflow salvage DIR --to NEW_DIR`";
constexpr std::string_view kNothingToDo = "There is nothing to do";

constexpr std::array kRules = {
    DamageRule{Damage::kNoCheckpoint, "there is data here but no checkpoint",
               "Both checkpoint files are gone: topics, offsets and groups are not known.",
               kRestoreOrSalvage},
    DamageRule{Damage::kNoWholeCheckpoint, "there is data here but no checkpoint that is whole",
               "Both checkpoint files are damaged, or the only one is.", kRestoreOrSalvage},
    DamageRule{
        Damage::kCheckpointTorn,
        "this checkpoint is torn or damaged; the log goes on from the one before it and the "
        "journal",
        "The write of a checkpoint was cut off by a crash, or the file has rotted. The other "
        "checkpoint and the journal hold everything. The next checkpoint replaces it.",
        kNothingToDo},
    DamageRule{Damage::kCheckpointDoesNotDecode,
               "the checksum of this checkpoint is right but its contents do not decode",
               "Another program has written it, or this one has a defect.", kRestoreOrSalvage},
    DamageRule{Damage::kNewerFormat, "written by a newer version",
               "The data directory was used by a newer program.",
               "Start that version, or a newer one"},
    DamageRule{Damage::kJournalFileMissing, "this file of the journal is missing",
               "The checkpoint knows of the file. It is never removed, so something else has "
               "removed it; records that were acknowledged may have been in it alone.",
               kPutBackOrSalvage},
    DamageRule{Damage::kJournalFileShort, "this file of the journal is too short",
               "Files of the journal never shrink: something else has cut it, or put an older copy "
               "in its place.",
               kPutBackOrSalvage},
    DamageRule{Damage::kJournalNoteMissing, "the note of how far the journal is durable is missing",
               "Without it, nothing says whether the journal is whole to its end.",
               kPutBackOrSalvage},
    DamageRule{Damage::kJournalNoteDamaged, "the note of how far the journal is durable is damaged",
               "Without it, nothing says whether the journal is whole to its end.",
               kPutBackOrSalvage},
    DamageRule{Damage::kJournalNoteForeign,
               "the note of how far the journal is durable belongs to another log",
               "It was copied from another data directory.", kPutBackOrSalvage},
    DamageRule{Damage::kJournalEndsEarly, "the journal ends before what was durable",
               "Its last file was deleted, cut, overwritten, or replaced by an older copy; records "
               "that were acknowledged were in it.",
               kPutBackOrSalvage},
    DamageRule{
        Damage::kJournalNotAtCheckpoint,
        "the journal does not hold the place where the checkpoint was written",
        "Journal and checkpoint are not of the same time or not of the same log: one of them "
        "was replaced by a copy.",
        kPutBackOrSalvage},
    DamageRule{Damage::kJournalDamagedInside,
               "the journal is damaged here, before data that is known to have been durable",
               "A frame of the journal has rotted, or was overwritten; frames after it are whole.",
               kRestoreOrSalvage},
    DamageRule{Damage::kJournalEntryDoesNotDecode,
               "a frame of the journal is whole but its entries do not decode",
               "A newer version has written it, or this program has a defect.", kRestoreOrSalvage},
    DamageRule{Damage::kJournalDoesNotFit, "the journal does not fit the checkpoint",
               "Journal and checkpoint contradict each other: one of them is not of this log.",
               kRestoreOrSalvage},
    DamageRule{
        Damage::kJournalTailTorn, "the last frame of the journal is not whole and was cut off",
        "If the machine lost power while it was written, nothing in it had been "
        "acknowledged. Otherwise it was damaged together with the note of how far the "
        "journal is durable, and what it held is lost.",
        "There is nothing to do after a loss of power. Otherwise compare with what producers "
        "know to be acknowledged"},
    DamageRule{Damage::kJournalUnsyncedLost,
               "the end of the journal had not been synced and did not survive whole "
               "(log.flush=os)",
               "The machine went down, and `log.flush=os` promises nothing for that case.",
               "Set log.flush=sync if acknowledged records must survive a loss of power"},
    DamageRule{Damage::kSegmentMissing, "this segment is missing",
               "Retention did not remove it, for the log would know.", kPutBackOrSalvage},
    DamageRule{Damage::kSegmentShort, "this segment is too short",
               "It was cut, or an older copy was put in its place.", kPutBackOrSalvage},
    DamageRule{Damage::kSegmentLong, "this segment is too long",
               "It was exchanged: the log had finished it and knows its size.", kPutBackOrSalvage},
    DamageRule{Damage::kSegmentForeign, "this segment does not hold what was written to it",
               "Its batches are whole, but they are not those of this place: it was exchanged with "
               "another segment, or replaced by a copy of another time. None of it is served from "
               "there on.",
               kStopAndSalvage},
    DamageRule{Damage::kBatchDamaged, "a batch of this segment is damaged",
               "Bits have rotted, or the file was overwritten or cut. The batch is not served.",
               kStopAndSalvage},
    DamageRule{Damage::kClusterIdMissing, "meta.properties was missing and has been made again",
               "The cluster id is kept in the checkpoint too, and it is the same as before.",
               kNothingToDo},
    DamageRule{Damage::kClusterIdLost, "there is no cluster.id in this file",
               "The file was emptied or edited. The log keeps the id in its checkpoint.",
               "Remove the file: the next start makes it again with the cluster id of before"},
    DamageRule{Damage::kClusterIdChanged, "the cluster.id in this file is not that of this log",
               "The file was edited, or copied from another data directory.",
               "Put the old cluster.id back, or remove the file: the next start makes it again"},
    DamageRule{Damage::kNodeIdLost, "the node.id in this file is no number",
               "The file has rotted or was edited. Nothing else depends on it.",
               "Remove the file: the next start makes it again with the node.id of its settings "
               "and the cluster id of before"},
    DamageRule{Damage::kReadableByOthers,
               "the data directory is open to other users of this machine",
               "An earlier version made it with mode 0755, or its mode was changed. New ones have "
               "mode 0700, and their files 0600.",
               "Run `chmod -R go-rwx DIR`, or set log.dir.mode to the mode that is meant"},
};

}  // namespace

std::span<const DamageRule> damage_rules() { return kRules; }

const DamageRule& rule_of(Damage damage) {
  const DamageRule& rule = kRules[static_cast<std::size_t>(damage)];
  CHECK(rule.damage == damage);
  return rule;
}

std::string damage_text(Damage damage, std::string_view place, std::string_view details) {
  const DamageRule& rule = rule_of(damage);
  return fmt::format("{}: {}{}{}. {}.", place, rule.says, details.empty() ? "" : ": ", details,
                     rule.advice);
}

Error damage_error(Damage damage, std::string_view place, std::string_view details) {
  return {damage == Damage::kNewerFormat ? ErrorCode::kUnsupported : ErrorCode::kCorrupt,
          damage_text(damage, place, details)};
}

std::unexpected<Error> fail_damaged(Damage damage, std::string_view place,
                                    std::string_view details) {
  return std::unexpected(damage_error(damage, place, details));
}

}  // namespace onceflow::log
