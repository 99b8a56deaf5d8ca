// Reads the segments and indexes of one partition, for the walker, as far as the checkpoint knows
// them, and compares what their batches say of producers and transactions with what the checkpoint
// says. Blocks.
#pragma once

#include <string>

#include "base/result.h"
#include "io/disk.h"
#include "log/walked_state.h"
#include "log/walker.h"

namespace onceflow::log {

/// `checkpoint_path` is named where the checkpoint is what does not fit.
Status walk_segments(io::Disk& disk, const std::string& directory, const TopicIdPartition& id,
                     const std::string& checkpoint_path, const WalkedPartition& partition,
                     WalkReport& report);

}  // namespace onceflow::log
