// StorageWorkload: the files of a log, on a machine that crashes and whose files rot, go, are cut
// or exchanged. Topics are made, grow, are deleted and made again under the same name; batches,
// transactions and records are appended; the log start moves by DeleteRecords and by retention; the
// log closes now and then. One run in three is on log.flush=os; in one of two the partitions are
// filled alike, so that their segments have the same sizes. StorageHistory judges.
#pragma once

#include <cstdint>
#include <set>

#include "base/ids.h"
#include "log/journal.h"
#include "sim/checkers/storage_history.h"
#include "sim/workloads/workload.h"

namespace onceflow::sim {

class StorageNode;

class StorageWorkload final : public Workload {
 public:
  explicit StorageWorkload(Findings& findings) : findings_(findings), history_(findings) {}

  void start(SimWorld& world) override;
  bool has_done_enough() const override;
  void settle() override { is_settling_ = true; }
  bool is_at_rest() const override { return is_at_rest_ || history_.is_over(); }
  void check_end() override;

 private:
  friend class StorageNode;

  Findings& findings_;
  StorageHistory history_;
  SimWorld* world_ = nullptr;
  log::FlushMode flush_ = log::FlushMode::kDurable;
  bool is_filled_alike_ = false;
  std::uint64_t salvage_count_ = 0;
  std::uint32_t crash_count_ = 0;  ///< of the machine, as the log's last process knew it
  std::uint64_t done_count_ = 0;
  std::set<TopicId> topic_ids_;  ///< of all times
  bool is_settling_ = false;
  bool is_at_rest_ = false;
};

}  // namespace onceflow::sim
