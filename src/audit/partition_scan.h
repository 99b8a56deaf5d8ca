// PartitionScan: one partition read from front to back as it is stored, and what follows from that:
// which transactions it holds and how each ended, how many committed records lie between any two
// positions, and what is wrong with the log itself. It decides from the markers what is committed,
// and compares that with what the broker tells consumers.
//
// Owned by one audit. Memory: a few dozen bytes per transaction and per boundary, nothing per
// record; except, where it keeps records, 16 bytes for each.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "audit/findings.h"
#include "audit/log_reader.h"
#include "base/ids.h"
#include "base/task.h"
#include "protocol/record_batch.h"

namespace onceflow::audit {

/// How many records, and the sum of their hashes.
struct RecordTotals {
  std::int64_t count = 0;
  std::uint64_t hash_sum = 0;
  friend bool operator==(const RecordTotals&, const RecordTotals&) = default;
  void operator+=(const RecordTotals& other) {
    count += other.count;
    hash_sum += other.hash_sum;
  }
};

/// What one transaction left in this partition. Records outside of transactions are gathered into
/// runs of one producer, which count as committed.
struct PartitionTransaction {
  enum class State { kCommitted, kAborted, kOpen };
  ProducerIdentity producer;
  bool is_transactional = false;
  State state = State::kOpen;
  Offset first_offset;
  Offset last_offset;
  RecordTotals totals;  ///< of output_record_hash
};

/// A record outside of transactions, of a topic that is written so.
struct StoredRecord {
  Offset offset;
  std::uint64_t hash = 0;  ///< output_record_hash
};

/// Sees every data record as it is read, and later how its transaction ended.
class RecordObserver {
 public:
  virtual ~RecordObserver() = default;
  /// `is_decided`: it is in no transaction, and so committed.
  virtual void record(const protocol::RecordBatchHeader& batch, const protocol::RecordView& record,
                      bool is_decided) = 0;
  virtual void decided(ProducerId producer, bool is_committed) = 0;
};

class PartitionScan {
 public:
  struct Options {
    /// Positions between which committed_between() will be asked.
    std::set<Offset> boundaries;
    /// Keep what each transaction left: for topics that stages write.
    bool keeps_transactions = false;
    /// Keep each record outside of transactions: for topics that at_least_once stages write.
    bool keeps_records = false;
    bool is_compacted = false;
    RecordObserver* observer = nullptr;
  };
  /// Something wrong with the log itself.
  struct Defect {
    FindingKind kind = FindingKind::kMissing;
    std::int64_t record_count = 0;
    std::string text;
  };

  PartitionScan(TopicPartition partition, Options options);

  /// Begins there instead of at the start of the log; what is before it is unknown then.
  void begin_at(Offset position);
  /// Reads on, to where the log ends now. May be called again.
  Task<Status> read_to_end(LogReader& reader);

  const TopicPartition& partition() const { return partition_; }
  bool is_compacted() const { return options_.is_compacted; }
  Offset start() const { return start_; }
  /// Where reading has come to.
  Offset position() const { return position_; }
  Offset last_stable_offset() const { return last_stable_offset_; }

  /// Committed records in [from, next), of input_record_hash; both are boundaries, or the start or
  /// the position of the scan.
  RecordTotals committed_between(Offset from, Offset next) const;
  /// Records and markers stored in [from, next), whatever became of them; bounds as above.
  std::int64_t stored_between(Offset from, Offset next) const;
  /// Offsets in [from, next) at which a compacted topic holds nothing, but for those that are lost;
  /// bounds as above.
  std::int64_t absent_between(Offset from, Offset next) const;
  /// Offsets in [from, next) at which nothing is stored, of a topic that is not compacted; of one
  /// that is, those of which its log says that they are lost.
  std::int64_t lost_between(Offset from, Offset next) const;

  /// In the order of their first offsets, except that open ones come last.
  std::vector<PartitionTransaction> transactions() const;
  /// What each producer wrote outside of transactions, in its order, if records are kept.
  const std::map<ProducerIdentity, std::vector<StoredRecord>>& records() const { return records_; }
  bool has_open_transactions() const { return !open_.empty(); }
  /// The first offset of a transaction that is still open; position() if there is none.
  Offset first_open_offset() const;
  bool is_open(ProducerIdentity producer) const;

  const std::vector<Defect>& defects() const { return defects_; }

 private:
  struct Open {
    PartitionTransaction transaction;
    std::map<std::size_t, RecordTotals> by_segment;
    bool was_shown = false;
    bool was_hidden = false;
  };
  struct ProducerTail {
    ProducerEpoch epoch;
    Sequence last_sequence;
    Offset last_offset;
  };
  class ConsumerView;
  /// What a read_committed consumer makes of a batch; unknown where only an uncommitted read came.
  enum class Visibility { kUnknown, kShown, kHidden };

  Status add_fetched(const FetchedBatches& fetched, Isolation isolation);
  Status add(const protocol::RecordBatchView& batch, ConsumerView& view, Visibility visibility);
  Status add_data(const protocol::RecordBatchView& batch, Visibility visibility);
  Status add_records(const protocol::RecordBatchView& batch, Open* open);
  void add_marker(const protocol::RecordBatchView& batch);
  void end_transaction(Open& open, bool is_committed);
  void check_sequence(const protocol::RecordBatchHeader& header);
  void note_hole(Offset from, Offset next);
  void note_lost(Offset from, Offset next);
  std::size_t segment_of(Offset offset);
  void keep_run(const protocol::RecordBatchHeader& header, Offset offset,
                const RecordTotals& totals);
  void defect(FindingKind kind, std::int64_t record_count, std::string text);

  TopicPartition partition_;
  Options options_;
  bool begun_ = false;
  Offset start_{0};
  Offset position_{0};
  Offset last_stable_offset_{0};
  /// Segment i lies before boundaries_[i] and at or after the one before it.
  std::vector<Offset> boundaries_;
  std::vector<RecordTotals> segments_;
  std::vector<std::int64_t> stored_;  ///< of each segment: records and markers, however they ended
  std::size_t segment_ = 0;
  std::map<ProducerId, Open> open_;
  std::vector<PartitionTransaction> ended_;
  std::map<ProducerIdentity, std::vector<StoredRecord>> records_;
  std::map<ProducerId, ProducerTail> tails_;
  std::vector<std::pair<Offset, Offset>> holes_;
  std::vector<Defect> defects_;
};

}  // namespace onceflow::audit
