// By which definition each record of a stage was judged, and whether that is one of the pipeline's.
#pragma once

#include <string>

#include "audit/definition_records.h"
#include "audit/findings.h"
#include "audit/stage_history.h"

namespace onceflow::audit {

/// Findings: a commit under a definition that nobody knows; a state that goes on under another
/// definition than the one that made it, and no reset has said so. A stage whose records were
/// judged by several is noted, with where one ends and the next begins. Returns by how many the
/// stage's settled receipts were made.
std::size_t check_definitions(const StageHistory& history, const DefinitionRecords& known,
                              Findings& findings);

/// Whether a later reset has begun the stage's state anew: what that definition made of it was
/// deleted. Where it has had both states, after that reset it was made again.
enum class StateOf { kUnknown, kNow, kBefore, kBoth };
StateOf state_of(const DefinitionRecords& known, const std::string& stage,
                 std::uint64_t definition);

/// The command that ends a reset which was begun and has not ended, the only one that is not
/// refused then; empty: there is none.
std::string command_that_ends_reset(const DefinitionRecords& known);

/// Whether a reset was begun and has not ended; what it was told is said then, and that its parts
/// that are done are not told from those that are not.
bool check_reset_has_ended(const DefinitionRecords& known, Findings& findings);

}  // namespace onceflow::audit
