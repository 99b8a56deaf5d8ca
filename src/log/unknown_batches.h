// Unknown batches: what lies in the folders of partitions that neither the checkpoint nor the
// journal tells of. Asked by recovery, once the journal is replayed. Functions; they block.
//
// A batch is in the journal before it is in a segment (docs/formats/segment.md). So after a crash
// the journal has all that is behind the checkpoint, and more than it has in a segment means that
// one of the two is of another time. With log.flush=os a loss of power may take the journal's end
// alone: there, and only there, a rest is what a crash leaves (journal_has_all).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "io/disk.h"
#include "log/segments.h"

namespace onceflow::log {

/// What lies behind the known end of one segment's file; all of the file if the segment is not
/// known.
struct SegmentRest {
  std::string path;
  std::uint64_t position = 0;  ///< where it begins
  std::uint64_t bytes = 0;
  bool is_all_whole = true;    ///< batches and nothing else
  Offset from = kNoOffset;     ///< of the first batch behind the end of the log; none
  Offset next = kNoOffset;     ///< behind the last such batch
  Segment* segment = nullptr;  ///< whose file it is, if that is known
  bool has_unknown_batches() const { return from != kNoOffset; }
};

/// Of the partition in `segments`, whose log ends at `log_end`.
Result<std::vector<SegmentRest>> segment_rests(io::Disk& disk, const Segments& segments,
                                               Offset log_start, Offset log_end);

/// A segment that is not empty.
Result<bool> holds_segments(io::Disk& disk, const std::string& directory);

/// Renames the folder, so that another can have its name; durable. Its new path.
Result<std::string> move_aside(io::Disk& disk, const std::string& directory);

}  // namespace onceflow::log
