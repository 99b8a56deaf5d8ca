// SalvageTarget: the new log that a salvage makes. Batches are appended to its partitions at their
// own offsets; where some are missing, lost offsets stand in their place, and no transaction that
// may have ended there is taken for ended by what comes later. Owned by a Salvage.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "log/entries.h"
#include "log/log_state.h"
#include "log/salvage.h"

namespace onceflow::log {

class SalvageTarget {
 public:
  /// Tells what is lost in `report`, which outlives it.
  SalvageTarget(const io::Environment& environment, const std::string& directory,
                SalvageReport& report);

  std::string& cluster_id() { return state_.cluster_id; }
  const std::string& cluster_id() const { return state_.cluster_id; }
  Topics& topics() { return state_.topics; }
  const Topics& topics() const { return state_.topics; }
  ProducerId producer_id_max() const;

  Status make_directories();
  Status make_topics(const std::map<TopicId, TopicEntry>& wanted);

  /// Before the first batch: where the partition's files begin, and its log start.
  static void begin(Partition& partition, Offset begin, Offset log_start);
  /// Why what follows is missing, until the next batch is taken.
  std::string& blame(const Partition& partition) { return missing_cause_[partition.id()]; }
  /// A whole batch, from a segment or the journal; nothing if its offsets are there.
  Status take(Partition& partition, const protocol::RecordBatchView& batch);
  /// Likewise the marker of a transaction, at its offset.
  Status take_marker(Partition& partition, const EndTransaction& end, Offset offset);
  /// That of one that is decided now, behind all that is there.
  Status take_end(Partition& partition, const EndTransaction& end);
  /// What is missing before `next` is lost, and told.
  Status lose(Partition& partition, Offset next, std::string_view cause);
  /// Offsets that may have been given: up to `next`.
  Status leave_out(Partition& partition, Offset next);
  Status keep(Partition& partition);
  Status abort_what_is_open();

  /// Everything, and last the checkpoint.
  Status write(ByteView coordinators);

 private:
  Status apply_marker(Partition& partition, protocol::EndTransactionMarker marker);
  void abort_open(Partition& partition, Offset first, ProducerId id);
  void tell_of_abort(const Partition& partition, Offset first, ProducerId producer);
  void put_lost_offsets(Partition& partition, Offset next);
  static void set_durable(Partition& partition);
  void count_what_is_kept();

  const io::Environment environment_;
  LogState state_;
  SalvageReport& report_;
  /// Open where offsets are lost, with their first offset.
  std::map<std::pair<TopicIdPartition, ProducerId>, Offset> doubtful_;
  std::map<TopicIdPartition, std::string> missing_cause_;
};

}  // namespace onceflow::log
