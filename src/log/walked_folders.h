// Looks for what lies in the folders of topics and is told of by neither the checkpoint nor the
// journal, for the walker: batches behind the end of a log, and folders of no topic. Blocks.
#pragma once

#include <string>

#include "base/result.h"
#include "io/disk.h"
#include "log/walked_state.h"
#include "log/walker.h"

namespace onceflow::log {

/// `state` is moved on by the journal.
Status walk_folders(io::Disk& disk, const std::string& topics_directory, const WalkedState& state,
                    WalkReport& report);

}  // namespace onceflow::log
