// Salvage: what can be read of a damaged log, into a new data directory, with an account of what
// could not. The old directory is read alone (but for the process id in its lock).
//
// What is taken: topics with their ids and configurations, every whole batch at its own offset,
// producers and transactions as the batches tell them, and the coordinators' snapshot and records,
// which go to the caller: it keeps them, and gives back the snapshot for the new directory. Where
// records cannot be read, lost offsets stand in their place (lost_offsets.h).
//
//   read(): the checkpoint, the journal, every segment; everything is in the new directory's files
//   end_transaction(): the caller ends what can no longer be decided
//   finish(): the rest, and last the checkpoint: before that there is no log in the new directory
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/environment.h"
#include "log/log.h"

namespace onceflow::log {

struct LostOffsets {
  std::string topic;
  PartitionIndex partition;
  Offset from;
  Offset next;
  std::string cause;
  /// After the last record that is known, so that no offset that was given is given again: whether
  /// any of these was is not known.
  bool is_left_out = false;
};

struct SalvageReport {
  std::uint64_t topic_count = 0;
  std::uint64_t partition_count = 0;
  std::uint64_t batch_count = 0;
  std::uint64_t bytes = 0;
  std::vector<LostOffsets> lost;
  /// What is lost beside records, or made anew: a sentence each.
  std::vector<std::string> lost_states;
  std::vector<std::string> notes;
  /// Without those that are left out.
  std::uint64_t lost_offset_count() const;
  std::uint64_t left_out_offset_count() const;
};

struct SalvageOptions {
  std::string from;
  std::string to;
  bool is_rehearsal = true;  ///< nothing is written
  std::uint64_t boot_id = 0;
  /// Of the old directory's meta.properties, where the checkpoint does not tell.
  std::string cluster_id;
  std::function<void(std::uint64_t done_bytes, std::uint64_t all_bytes)> on_progress;
};

class SalvageRun;

class Salvage {
 public:
  /// The listener gets what recovery would give it; of what it refuses, on_record's errors are
  /// counted and passed over.
  Salvage(const io::Environment& environment, SalvageOptions options, RecoveryListener& listener);
  ~Salvage();
  Salvage(const Salvage&) = delete;
  Salvage& operator=(const Salvage&) = delete;

  /// kLocked if the log is running; kAlreadyExists if there is something in the new directory;
  /// kNotFound if there is no log in the old one.
  Status read();
  /// The end of the journal is lost, or some of it: what became of transactions that are open is
  /// not known.
  bool is_undecided() const;
  /// The greatest that a batch was written with; kNoProducerId if none was.
  ProducerId producer_id_max() const;
  /// As the coordinators decide; one of partitions that are not there is passed over.
  Status end_transaction(const EndTransaction& end);
  /// Aborts what is still open, if is_undecided(); writes everything, the checkpoint last.
  Status finish(ByteView coordinators);

  const SalvageReport& report() const;
  std::string cluster_id() const;

 private:
  std::unique_ptr<SalvageRun> run_;
};

}  // namespace onceflow::log
