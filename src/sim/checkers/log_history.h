// LogHistory: what the outside was told by a log, and whether the log keeps to it: acknowledged
// batches (LOG-1), offsets (LOG-2), what was visible (LOG-3), retries (PRD-1), epochs (PRD-2),
// transactions (TXN-1). Outlives every process of the run.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "log/partition.h"
#include "sim/checkers/findings.h"

namespace onceflow::sim {

struct SentBatch;

struct SentTransaction {
  enum class Outcome : std::uint8_t { kOpen, kCommitting, kAborting, kCommitted, kAborted };
  std::uint64_t number = 0;
  ProducerIdentity producer;
  Outcome outcome = Outcome::kOpen;
  std::vector<const SentBatch*> batches;

  bool may_be_visible() const {
    return outcome == Outcome::kCommitting || outcome == Outcome::kCommitted;
  }
};

struct SentBatch {
  std::size_t partition = 0;
  ProducerIdentity producer;
  Sequence first_sequence;
  std::int32_t record_count = 0;
  Buffer bytes;               ///< as sent, to send again
  std::uint32_t content = 0;  ///< checksum of its records
  SentTransaction* transaction = nullptr;
  Offset acknowledged_at = kNoOffset;  ///< kNoOffset: not acknowledged

  bool is_acknowledged() const { return acknowledged_at != kNoOffset; }
};

std::string to_string(const SentBatch& batch);

class LogHistory {
 public:
  LogHistory(std::size_t partition_count, Findings& findings);

  SentBatch& send(SentBatch batch);
  /// PRD-1: twice at one offset, or not twice.
  void acknowledge(SentBatch& batch, Offset base_offset);
  SentTransaction& begin(ProducerIdentity producer);

  /// Reads what is new and judges it with what was seen before.
  void read_new(std::size_t index, log::Partition& partition);
  /// Reads everything.
  void read_all(std::size_t index, log::Partition& partition);
  /// With every transaction decided: LOG-1 and TXN-1 for all.
  void check_end(std::size_t index, log::Partition& partition);

  std::size_t acknowledged_count() const { return acknowledged_count_; }
  std::size_t committed_count() const;

 private:
  struct SeenBatch {
    Offset next_offset;
    std::uint32_t content = 0;
    bool was_committed = false;  ///< a read_committed reader has seen it
    bool is_data = false;
  };
  struct History {
    std::map<Offset, SeenBatch> seen;  // by base offset
    Offset seen_until{0};
    Offset committed_until{0};
    std::map<Offset, const SentBatch*> acknowledged;
  };
  using BatchKey = std::tuple<std::size_t, ProducerId, ProducerEpoch, Sequence>;

  /// `from` is the base offset of a batch, or the end.
  void read(std::size_t index, log::Partition& partition, Offset from);
  void judge_batch(std::size_t index, const protocol::RecordBatchView& batch, Offset expected);
  void judge_committed(std::size_t index, log::Partition& partition, Offset from);
  void judge_order(std::size_t index);
  std::string place(std::size_t index, Offset offset) const;

  Findings& findings_;
  std::vector<History> partitions_;
  std::vector<std::unique_ptr<SentBatch>> batches_;
  std::map<BatchKey, const SentBatch*> batch_by_key_;
  std::vector<std::unique_ptr<SentTransaction>> transactions_;
  std::size_t acknowledged_count_ = 0;
};

}  // namespace onceflow::sim
