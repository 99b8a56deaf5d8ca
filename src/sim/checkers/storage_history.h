// StorageHistory: what a log should hold, the slow and obvious way: a list of what was done to it,
// in the order of its journal. After each start the log is what a prefix of the list makes, with
// all that was promised (LOG-1, LOG-2); whatever it serves is what was written there, to the byte
// (LOG-3); nothing goes that nobody may take. Outlives every process of the run.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "log/log.h"
#include "protocol/record_batch.h"
#include "sim/checkers/findings.h"

namespace onceflow::sim {

struct StoredRecord {
  std::uint64_t number = 0;  ///< 0: a marker
  std::int64_t timestamp_ms = 0;
};

/// Of a transaction, by its marker.
struct StoredEnd {
  ProducerId producer;
  bool is_commit = false;
};

struct StoredPartition {
  std::vector<StoredRecord> records;  ///< by offset
  std::map<ProducerId, Offset> open;  ///< transactions, with their first offset
  std::map<Offset, StoredEnd> ends;   ///< by the offset of their marker
  std::map<ProducerId, Sequence> next_sequence;
  std::map<Offset, JournalPosition> position_of_end;  ///< of each batch
  Offset log_start{0};
  /// The log start was being moved here when the process ended.
  std::optional<Offset> log_start_moving;
  std::size_t aborted_count = 0;

  Offset end() const { return Offset(static_cast<std::int64_t>(records.size())); }
};

struct StoredTopic {
  TopicId id;
  log::TopicConfigOverrides overrides;
  std::vector<StoredPartition> partitions;
};

struct Stored {
  std::map<std::string, StoredTopic> topics;
  std::uint64_t records = 0;  ///< of the coordinators: a hash of them in their order

  StoredPartition& partition(const std::string& topic, std::size_t index) {
    return topics.at(topic).partitions.at(index);
  }
  void add_record(std::uint64_t number) {
    records = (records ^ number) * 0x9e3779b97f4a7c15 + number;
  }
};

class StorageHistory {
 public:
  explicit StorageHistory(Findings& findings) : findings_(findings) {}

  /// As long as its offset says, so that segments of two partitions can have the same size.
  static std::string value_of(std::uint64_t number, Offset offset);
  std::uint64_t next_number() { return ++last_number_; }

  /// With everything that was done.
  Stored& now() { return now_; }
  const Stored& now() const { return now_; }
  /// What is before it was promised.
  Offset promised_end(const StoredPartition& partition) const;
  /// Each record of the batch was written where it stands.
  static bool was_written(const StoredPartition& stored, const protocol::RecordBatchView& batch);
  /// Or had been, before a loss of power that the log has told took it.
  bool was_once_written(const TopicId& topic, std::size_t partition,
                        const protocol::RecordBatchView& batch) const;
  /// It was written elsewhere, and more than one thing was done to the files: a file that was
  /// exchanged and damaged, or the folder of a topic whose name another one has since, which a hole
  /// in the journal tells nothing of, cannot be told from the own one (LIMITS.md).
  bool may_be_of_another_file(const protocol::RecordBatchView& batch) const;
  struct Place {
    TopicId topic;
    std::size_t partition = 0;
    Offset offset;
    bool operator==(const Place&) const = default;
  };
  void note_log_start(const TopicId& topic, std::size_t partition, Offset start) {
    Offset& ever = log_starts_ever_[{topic, partition}];
    ever = std::max(ever, start);
  }
  Offset log_start_ever(const TopicId& topic, std::size_t partition) const {
    const auto found = log_starts_ever_.find({topic, partition});
    return found == log_starts_ever_.end() ? Offset(0) : found->second;
  }
  void note_written(std::uint64_t number, const Place& place) { places_[number] = place; }
  using Change = std::function<void(Stored&)>;
  /// What the log has done as its journal's entry that ends at `end`.
  void done(JournalPosition end, Change change);
  struct LogStartMove {
    std::string topic;
    std::size_t partition = 0;
    Offset to;
  };
  /// As several entries between the two: each of them by itself is there after a crash, or not.
  void done(JournalPosition begin, JournalPosition end, const std::vector<LogStartMove>& moves);
  /// Somebody was told, or could see, that what is before `position` is there to stay.
  void promise(JournalPosition position) { promised_ = std::max(promised_, position); }

  /// A process begins. `machine_went_down` and log.flush=os: promises since the last start are
  /// void.
  void begin_life(bool machine_went_down_on_os);
  /// So many things were done to its files at rest: from now on data may be missing if the log says
  /// so.
  void files_damaged(std::uint64_t count) { damage_count_ = count; }
  /// The log has said that something is wrong with its files.
  void damage_is_named() { is_named_ |= is_damaged(); }
  bool is_damaged() const { return damage_count_ > 0; }
  /// The log could not give everything back, and said so: there is nothing more to judge.
  bool is_over() const { return is_over_; }
  void end() { is_over_ = true; }

  /// The log is open again; `records` is what its coordinators got back.
  void recovered(log::Log& log, std::uint64_t records);
  /// Reads all that is visible.
  void read(const std::string& topic, std::size_t index, log::Partition& partition);
  void read_all(log::Log& log);
  /// Retention has moved the log start from where it was.
  void judge_retention(const std::string& topic, std::size_t index, const log::Partition& partition,
                       std::int64_t now_ms);

 private:
  struct Done {
    JournalPosition begin;
    JournalPosition end;
    Change change;                    ///< or:
    std::vector<LogStartMove> moves;  ///< each may have been done before `end`
  };

  void fold(JournalPosition end);
  void compare(const std::string& name, std::size_t index, StoredPartition& stored,
               log::Partition& partition);
  void report(std::string_view invariant, const std::string& topic, std::size_t index,
              std::string what);

  Findings& findings_;
  Stored base_;  // when this life began
  Stored now_;
  std::vector<Done> done_;  // since then
  JournalPosition promised_;
  JournalPosition recovered_;
  std::uint64_t last_number_ = 0;
  std::map<std::uint64_t, Place> places_;  // by number
  std::map<std::pair<TopicId, std::size_t>, Offset> log_starts_ever_;
  std::uint64_t damage_count_ = 0;
  std::uint64_t power_loss_count_ = 0;  // that log.flush=os does not survive whole
  bool is_named_ = false;
  bool is_over_ = false;
};

}  // namespace onceflow::sim
