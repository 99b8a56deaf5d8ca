// LogWorkload: the log alone, on a machine that crashes. Idempotent and transactional producers
// append, retry, change epochs and try stale ones; a reader looks at everything all the time;
// LogHistory judges.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "sim/checkers/log_history.h"
#include "sim/workloads/workload.h"

namespace onceflow::sim {

class LogNode;

/// A client of the log: what it knows outlives the broker's processes.
struct LogProducer {
  ProducerIdentity identity;
  bool is_transactional = false;
  bool raises_epoch_at_end = false;  ///< transactions v2
  struct Lane {
    Sequence next_sequence{0};
    std::deque<SentBatch*> unacknowledged;  ///< in order, at most five
    std::deque<SentBatch*> recent;          ///< the last five of this epoch, acknowledged or not
    bool knows_epoch = false;               ///< a batch of this epoch was acknowledged here
    bool must_resend = false;
  };
  std::vector<Lane> lanes;  ///< one a partition
  SentTransaction* transaction = nullptr;
  std::vector<bool> touched;  ///< partitions of the transaction
};

class LogWorkload final : public Workload {
 public:
  static constexpr std::size_t kPartitionCount = 3;

  explicit LogWorkload(Findings& findings);
  ~LogWorkload() override;

  void start(SimWorld& world) override;
  bool has_done_enough() const override;
  void settle() override { is_settling_ = true; }
  bool is_at_rest() const override;
  void check_end() override;

 private:
  friend class LogNode;

  Findings& findings_;
  LogHistory history_;
  SimWorld* world_ = nullptr;
  LogNode* node_ = nullptr;  // of the process that runs now
  std::vector<std::unique_ptr<LogProducer>> producers_;
  std::uint64_t next_value_ = 0;
  bool topic_is_acknowledged_ = false;
  std::uint64_t record_sent_ = 0;
  std::uint64_t record_acknowledged_ = 0;
  bool is_settling_ = false;
};

}  // namespace onceflow::sim
