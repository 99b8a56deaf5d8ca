// Follows the journal behind a checkpoint, for the walker: every frame and entry is checked, and
// what topics and offsets become is written into the state. Blocks.
#pragma once

#include "base/result.h"
#include "io/disk.h"
#include "log/walked_state.h"
#include "log/walker.h"

namespace onceflow::log {

Status walk_journal(io::Disk& disk, const std::string& directory, std::uint64_t boot_id,
                    WalkedState& state, WalkReport& report);

}  // namespace onceflow::log
