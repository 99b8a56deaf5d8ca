// LogState: what a Log is made of, and the one way each thing changes, live and in recovery alike.
// Owned by a Log; recovery builds it, the checkpoint reads it.
//
// A change is made in two steps: apply_*, at once, in memory; and on_durable, when the journal says
// so, which moves high watermarks, writes tails to segments, and removes files that nothing needs
// any more. The last is done in slices of the loop, for one request may delete a hundred thousand
// partitions: after a crash in between, recovery does it again from the journal, which keeps the
// entry until a checkpoint has waited for all that it removes.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "io/environment.h"
#include "io/event.h"
#include "log/entries.h"
#include "log/journal_reader.h"
#include "log/log.h"
#include "log/log_changes.h"

namespace onceflow::log {

class LogState {
 public:
  LogState(const io::Environment& environment, LogOptions options);
  ~LogState();

  std::string topics_directory() const { return options.directory + "/topics"; }
  std::string journal_directory() const { return options.directory + "/journal"; }

  /// A topic with its partitions, not yet in the catalogue. kInvalidArgument for overrides that a
  /// newer version may have written.
  Result<std::unique_ptr<Topic>> make_topic(const TopicEntry& entry);
  void add_partitions(Topic& topic, std::int32_t partition_count);

  /// What a batch or marker has added becomes visible when `position` is durable.
  void advance_when_durable(JournalPosition position, Partition& partition, Segment& segment);
  /// The files of a segment that was taken from its partition go when `position` is durable.
  void remove_when_durable(JournalPosition position, const TopicIdPartition& partition,
                           std::unique_ptr<Segment> segment);
  /// Nothing waits for this topic any more; its folders are removed when `position` is durable.
  void forget_topic(std::unique_ptr<Topic> topic, JournalPosition position);
  void on_durable(JournalPosition position);

  /// Renames the folder out of the way at once; its files go one by one.
  Status doom_directory(const std::string& partition_directory, const TopicId& id);
  void doom(std::string directory) { doomed_.push_back(std::move(directory)); }
  void remove_doomed();

  /// Starts a checkpoint unless one is under way.
  void start_checkpoint();
  static Task<Status> write_checkpoint(LogState& state, std::shared_ptr<bool> alive);
  /// All that a checkpoint has to make durable of partitions; a step of write_checkpoint.
  static Task<Status> sync_partitions(LogState& state, std::shared_ptr<bool> alive);
  static bool is_unsynced(const Partition& partition);

  /// Writes tails that are large enough, or all.
  Status flush_all(std::uint64_t unwritten_bytes_min);
  bool has_room();
  bool is_out_of_room() const { return disk_is_full_; }
  /// For the state of one more producer; some that are idle are forgotten for it. Nothing is
  /// forgotten in recovery.
  bool has_room_for_producer();
  /// Live and in recovery alike. A marker keeps nothing of a producer that has not written there
  /// where as many are known as may be.
  Segment& apply_marker(Partition& partition, const protocol::EndTransactionMarker& marker);
  /// Before and after recovery; from then on producer_state_count is kept.
  void count_producers();
  void fail(const Error& error) { journal->fail(error); }

  io::Environment environment;
  LogOptions options;
  std::unique_ptr<io::DirectoryLock> lock;
  SegmentFiles files;
  Topics topics;
  std::unique_ptr<Journal> journal;
  std::uint64_t journal_id = 0;
  std::string cluster_id;
  std::uint64_t checkpoint_sequence = 0;
  bool topics_directory_unsynced = true;
  JournalPosition last_removal;  // of the last entry that makes files superfluous
  io::Event files_removed;       // some of what entries have made superfluous
  /// Whether files are left that an entry before `position` removes.
  bool has_removals_before(JournalPosition position) const {
    return !removals_.empty() && removals_.front().position <= position;
  }
  std::size_t producer_state_count = 0;

  std::function<void(Partition&)> partition_advanced;
  std::function<void(const Topic&)> topic_removed;
  std::function<void(Buffer&)> snapshot_writer;
  Log::Statistics statistics;
  LogChanges changes;

  // The checkpoint under way, if any.
  bool is_checkpointing = false;
  io::Event checkpoint_done;
  Status last_checkpoint;
  bool is_closed = false;

  /// False once the Log is gone: for callbacks and tasks that outlive it.
  std::shared_ptr<bool> alive = std::make_shared<bool>(true);
  template <typename Function>
  auto guarded(Function function) {
    return [token = alive, then = std::move(function)]() mutable {
      if (*token) {
        then();
      }
    };
  }

 private:
  struct SyncWork;
  static Task<void> do_sync_work(LogState& state, std::shared_ptr<bool> alive,
                                 std::shared_ptr<SyncWork> work);
  static Task<Status> sync_partition(LogState& state, std::shared_ptr<bool> alive,
                                     TopicIdPartition id);
  void flush_later(Partition& partition);

  struct PendingAdvance {
    JournalPosition position;
    Partition* partition;
    Segment* segment;
    Offset end;
    std::uint64_t segment_bytes;
  };
  /// The files of a segment, or the folder of a partition of a topic that is gone.
  struct Removal {
    JournalPosition position;
    TopicIdPartition partition;
    std::unique_ptr<Segment> segment;
    std::string topic_name;
  };
  void post_removals();
  Status remove(Removal removal);

  std::deque<PendingAdvance> pending_advances_;  // by position
  std::deque<Removal> removals_;                 // by position
  JournalPosition removals_due_;                 // those up to here may be done
  bool removals_posted_ = false;
  std::vector<Partition*> advanced_;  // empty between calls of on_durable
  std::vector<Partition*> to_flush_;  // not empty: their turn is posted
  std::deque<std::string> doomed_;    // folders to be emptied and removed
  bool removing_ = false;

  /// Before this no producer is idle for long enough to be forgotten.
  MonotonicTime next_idle_producer_{};
  bool disk_is_full_ = false;
  JournalPosition room_checked_;
  MonotonicTime room_checked_at_{};
};

/// What a wait of a task that may outlive the Log has come to. kCancelled if the Log has gone
/// meanwhile: then its state must not be touched again.
inline Status unless_closed(const std::shared_ptr<bool>& alive, Status waited = {}) {
  if (!*alive) {
    return onceflow::fail(ErrorCode::kCancelled, "the log is closed");
  }
  return waited;
}

/// Writes checkpoints; the functions of checkpoint.cc.
class CheckpointCodec {
 public:
  /// The whole file; the place in the journal is filled in by set_tail, which also seals it.
  static Buffer encode(LogState& state, MonotonicTime now);
  static void set_tail(Buffer& checkpoint, const LogState& state, const JournalTail& tail,
                       std::uint64_t sequence);
  struct Decoded {
    JournalKnown journal;
    std::string cluster_id;
    ByteView coordinators;  ///< a view of the bytes given
  };
  /// `body` is what follows the header, its checksum checked.
  static Result<Decoded> decode(LogState& state, std::uint16_t version, ByteView body,
                                MonotonicTime now);
};

/// One checkpoint, from snapshot to release; then wakes checkpoint_done. Any failure stops the log.
Task<void> run_checkpoint(LogState& state, std::shared_ptr<bool> alive);

/// Builds `state` from what is on disk; the table of cases is in recovery.cc.
class Recovery {
 public:
  Recovery(LogState& state, RecoveryListener& listener) : state_(state), listener_(listener) {}
  Status run();

 private:
  struct CheckpointFile {
    std::uint16_t version = 0;
    std::uint64_t sequence = 0;
    Buffer bytes;
  };

  Result<std::optional<CheckpointFile>> read_checkpoint();
  /// From the checkpoint; what the journal must hold.
  Result<JournalKnown> adopt_checkpoint(const CheckpointFile& checkpoint, MonotonicTime now);
  Status make_names_durable();
  Status make_journal_durable();
  Status look_before_change(const JournalKnown& known);
  Status write_again(const CheckpointFile& checkpoint);
  Status begin_anew();
  Status check_nothing_is_there(const std::string& damaged);
  static Status check_checkpoint_version(const std::string& path, ByteView bytes);
  Status replay(const JournalEntry& entry);
  Status replay_batch(const JournalEntry& entry);
  Status replay_end_transaction(const JournalEntry& entry);
  Status replay_topic_created(const JournalEntry& entry);
  Status replay_topic_deleted(const JournalEntry& entry);
  Status replay_topic_change(const JournalEntry& entry);
  Status replay_log_start(const JournalEntry& entry);
  Status make_durable(Partition& partition, Segment& segment);
  Status adopt_rest();
  void report(onceflow::ErrorCode code, std::string text);

  LogState& state_;
  RecoveryListener& listener_;
};

}  // namespace onceflow::log
