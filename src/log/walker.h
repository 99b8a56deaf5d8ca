// Walker: checks a log directory that nobody has open, byte by byte: checkpoints, the journal
// behind the one that counts, every segment and index up to it, and the producer states and aborted
// transactions in it against the batches. For the auditor and for whoever looks after a crash.
//
// It shares the formats with the log (format.h, entries.h) and nothing that reads, recovers or
// judges. It writes nothing but its process id into the lock, which it holds meanwhile.
//
// What a crash may leave is no finding: a torn last write of the journal, a torn older checkpoint,
// whatever is in a segment behind the size that the checkpoint knows (recovery writes that again
// from the journal, which is checked), an index that is cut off.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "io/disk.h"

namespace onceflow::log {

/// Something on disk that is not as docs/formats say.
struct WalkFinding {
  std::string path;
  std::uint64_t position = 0;  ///< of the frame, batch or entry that holds it
  std::string what;
};

struct WalkReport {
  static constexpr std::size_t kFindingsKeptMax = 100;

  std::uint64_t topic_count = 0;
  std::uint64_t partition_count = 0;
  std::uint64_t segment_count = 0;
  std::uint64_t segment_bytes = 0;
  std::uint64_t batch_count = 0;
  std::uint64_t index_entry_count = 0;
  std::uint64_t producer_count = 0;
  std::uint64_t frame_count = 0;  ///< behind the checkpoint
  std::uint64_t entry_count = 0;
  std::uint64_t lost_offset_count = 0;  ///< known to be lost: `onceflow salvage` has said so
  std::uint64_t finding_count = 0;
  std::vector<WalkFinding> findings;  ///< the first of them
  std::vector<std::string> notes;     ///< allowed, and worth knowing

  void find(std::string path, std::uint64_t position, std::string what);
};

/// kLocked if the log is running; kNotFound if there is none; kIo if the disk says no.
/// `boot_id` names the life of the machine (io/os/boot_id.h): in it the page cache counts.
Result<WalkReport> walk_log_directory(io::Disk& disk, const std::string& directory,
                                      std::uint64_t boot_id = 0);

}  // namespace onceflow::log
