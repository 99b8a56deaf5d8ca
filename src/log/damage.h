// Damage: each way in which the files of a log can be wrong, with the words that name it and what
// to do about it. docs/what-to-do-when.md has a row for each, printed from here; a message of
// damage is made here alone, so none is without its row. Stateless.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace onceflow::log {

enum class Damage : std::uint8_t {
  kNoCheckpoint,
  kNoWholeCheckpoint,
  kCheckpointTorn,
  kCheckpointDoesNotDecode,
  kNewerFormat,
  kJournalFileMissing,
  kJournalFileShort,
  kJournalNoteMissing,
  kJournalNoteDamaged,
  kJournalNoteForeign,
  kJournalEndsEarly,
  kJournalNotAtCheckpoint,
  kJournalDamagedInside,
  kJournalEntryDoesNotDecode,
  kJournalDoesNotFit,
  kJournalTailTorn,
  kJournalUnsyncedLost,
  kSegmentMissing,
  kSegmentShort,
  kSegmentLong,
  kSegmentForeign,
  kBatchDamaged,
  kClusterIdMissing,
  kClusterIdLost,
  kClusterIdChanged,
  kNodeIdLost,
  kReadableByOthers,
};

struct DamageRule {
  Damage damage;
  std::string_view says;     ///< in every message of this kind, word for word
  std::string_view meaning;  ///< for the page
  std::string_view advice;   ///< what to do; in the message too
};

/// All, in the order of the enumeration.
std::span<const DamageRule> damage_rules();
const DamageRule& rule_of(Damage damage);

/// "PLACE: what it says; DETAILS. What to do." `details` may be empty.
std::string damage_text(Damage damage, std::string_view place, std::string_view details = {});
/// As an error: kCorrupt, or kUnsupported for a newer format.
Error damage_error(Damage damage, std::string_view place, std::string_view details = {});
std::unexpected<Error> fail_damaged(Damage damage, std::string_view place,
                                    std::string_view details = {});

}  // namespace onceflow::log
