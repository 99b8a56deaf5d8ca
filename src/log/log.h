// Log: everything of the broker that must survive. Topics and their partitions, producers and
// transactions, and the coordinators' records, all through one journal (design D2).
//
// Owned by the broker, on its thread; single-threaded, never blocks after open() except for
// page-cache writes. The rule that everything follows (design 10.1): a call that changes something
// changes it in memory at once and returns a JournalPosition; whoever answers the outside waits
// with when_durable(position) first. A failed write to the disk calls LogOptions::on_fatal, once,
// and from then on nothing becomes durable, so nothing that was not durable ever leaves.
//
// Start: Log::open() recovers (log/recovery.cc has the table of cases), handing the coordinators
// what is theirs through RecoveryListener, in order. When it returns, everything recovered is
// durable and may be served.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/callback.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/task.h"
#include "io/environment.h"
#include "log/journal.h"
#include "log/partition.h"
#include "log/topics.h"
#include "protocol/batch_validation.h"

namespace onceflow::log {

struct LogOptions {
  std::string directory;
  FlushMode flush = FlushMode::kDurable;
  TopicConfig topic_defaults;

  std::uint64_t journal_first_file_bytes = 4ull << 20;
  std::uint64_t journal_file_bytes = 64ull << 20;
  /// How far the journal may run ahead of the last checkpoint: bounds the time of recovery.
  std::uint64_t checkpoint_every_bytes = 128ull << 20;
  std::size_t journal_buffered_bytes_max = 32u << 20;
  std::size_t open_files_max = 512;
  /// What is durable is written to a partition's segment when there is as much of it; sooner only
  /// at a checkpoint, or when memory is short.
  std::size_t segment_flush_bytes = 64u << 10;
  /// Appends are refused with KAFKA_STORAGE_ERROR when the disk has less than this left: the
  /// reserve, log.free.bytes.min.
  std::uint64_t free_bytes_min = 64ull << 20;
  std::size_t partitions_max = 100'000;
  TopicConfigBounds config_bounds;
  /// What is set on all topics together, as bytes_of counts it: topic.configs.max.bytes.
  std::size_t config_bytes_max = 32u << 20;
  /// Of folders that are made, log.dir.mode; the owner of the disk sees to it.
  std::uint32_t directory_mode = 0700;
  /// Of the cluster whose log this is, for a log that does not know it yet. The checkpoint keeps
  /// it.
  std::string cluster_id;
  /// Names the life of the machine (io/os/boot_id.h); 0: not known. In it the page cache counts.
  std::uint64_t boot_id = 0;

  Duration producer_id_expiration = std::chrono::hours(24);
  /// Of all partitions. Beyond it the producers that have been silent longest are forgotten, but
  /// none that may still repeat a batch: whoever has written within the last
  /// producer_state_idle_min is kept (clients give a batch up after two minutes), and the new one
  /// is refused.
  std::size_t producer_states_max = 200'000;
  Duration producer_state_idle_min = std::chrono::minutes(5);
  Duration retention_check_interval = std::chrono::minutes(5);
  /// To the first retention after a start, if it comes before the interval ends. Kafka's: a log
  /// that is started often is kept in bounds all the same.
  Duration first_retention_after = std::chrono::seconds(30);
  /// Of the loop for the files that many deletions leave, before others get their turn; one of them
  /// takes its time, whatever this says.
  Duration removal_slice = milliseconds(1);

  /// Required. The disk failed: stop the process. Nothing was acknowledged that is not durable.
  std::function<void(const Error&)> on_fatal;
  /// Something on disk is wrong, or was put right; plain text with the file. May be empty.
  std::function<void(const Error&)> on_damage;
};

/// End of one transaction: the decision and the marker of every partition in it, one journal entry.
struct EndTransaction {
  /// Of the markers: the data's epoch (v1) or the next (v2, and every fencing abort).
  ProducerIdentity producer;
  std::int32_t coordinator_epoch = 0;
  bool commit = false;
  std::int64_t timestamp_ms = 0;
  std::vector<TopicIdPartition> partitions;
};

/// The marker that it puts into each of its partitions.
protocol::EndTransactionMarker marker_of(const EndTransaction& end);

/// Whoever keeps state in the log's journal without being the log: the coordinators.
class RecoveryListener {
 public:
  virtual ~RecoveryListener() = default;
  /// What the snapshot writer wrote at the last checkpoint; not called if there was none. First.
  virtual Status on_snapshot(ByteView snapshot) = 0;
  /// A record of append_record, in order.
  virtual Status on_record(ByteView record) = 0;
  /// An append_end_transaction, in order with the records: its decision and its record.
  virtual Status on_end_transaction(const EndTransaction& end, ByteView record) = 0;
  virtual void on_topic_deleted(const TopicId& topic) { static_cast<void>(topic); }
};

struct AppendedBatch {
  Offset base_offset;
  std::int64_t log_append_time_ms = -1;  ///< -1 unless the topic is on LogAppendTime
  Offset log_start_offset;
  JournalPosition position;   ///< wait for this before answering
  bool is_duplicate = false;  ///< nothing was appended; the original's offset
};

struct AppendedMarkers {
  JournalPosition position;
  /// In the order of EndTransaction::partitions; kNoOffset where the partition no longer exists.
  std::vector<Offset> offsets;
};

struct ChangedTopic {
  TopicId id;
  JournalPosition position;
};

/// A refusal by the protocol, with a sentence for the client's error_message field.
struct Refusal {
  protocol::ErrorCode code;
  std::string text;
};
template <typename T>
using TopicAnswer = std::expected<T, Refusal>;

class LogState;
struct LogNews;

class Log {
 public:
  /// Opens, recovers and makes durable what is in `options.directory`, or begins a new log there.
  /// kLocked if another process has it; kCorrupt, with file, byte and what to do, if acknowledged
  /// data cannot be read; kDiskFull, kIo. Blocks; before anything is served.
  static Result<std::unique_ptr<Log>> open(const io::Environment& environment, LogOptions options,
                                           RecoveryListener& listener);
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  // --- Writing. Everything below takes effect in memory at once. ---

  /// One batch that protocol::validate_produced_batch has passed. Sets its base offset and leader
  /// epoch, and its greatest timestamp (on LogAppendTime topics: now), in the log's own copy.
  /// Checks, in this order: duplicate (success, with the original's offset and position), epoch,
  /// sequence, transaction state, size. Errors: MESSAGE_TOO_LARGE, RECORD_LIST_TOO_LARGE,
  /// INVALID_PRODUCER_EPOCH, OUT_OF_ORDER_SEQUENCE_NUMBER, INVALID_TXN_STATE, REQUEST_TIMED_OUT (no
  /// room for another producer's state: to be sent again), KAFKA_STORAGE_ERROR (disk nearly full,
  /// or failed). That a transactional batch belongs to an ongoing transaction is the caller's to
  /// check, in the same step: the log opens the transaction on the partition by it.
  Answer<AppendedBatch> append_batch(Partition& partition,
                                     const protocol::ValidatedBatch& validated, ByteView batch,
                                     UnknownProducer unknown = UnknownProducer::kAnySequence);

  /// Writes decision, markers and the coordinators' record as one journal entry: all or nothing
  /// over a crash. Partitions that no longer exist are passed over.
  AppendedMarkers append_end_transaction(const EndTransaction& end, ByteView record);

  /// An opaque record of the coordinators.
  JournalPosition append_record(ByteView record);

  // --- Topics. ---

  const Topics& topics() const;
  /// Of the producers of all partitions (ProducerStates), against producer_states_max.
  std::size_t producer_state_count() const;
  /// As the checkpoint keeps it, or LogOptions::cluster_id where it kept none.
  const std::string& cluster_id() const;
  /// Checks without creating: for validate_only.
  TopicAnswer<TopicConfig> check_new_topic(std::string_view name, std::int32_t partition_count,
                                           const TopicConfigOverrides& overrides) const;
  TopicAnswer<ChangedTopic> create_topic(std::string_view name, std::int32_t partition_count,
                                         const TopicConfigOverrides& overrides = {});
  /// `partition_count` is the new total.
  TopicAnswer<ChangedTopic> add_partitions(std::string_view name, std::int32_t partition_count);
  /// Checks without changing: for validate_only.
  TopicAnswer<TopicConfig> check_topic_config(std::string_view name,
                                              const TopicConfigOverrides& overrides) const;
  /// Replaces all that was set on the topic. In force at once; retention at its next check.
  TopicAnswer<ChangedTopic> set_topic_config(std::string_view name,
                                             const TopicConfigOverrides& overrides);
  /// Its partitions are gone at once (every Partition& of it dangles); its files soon after.
  TopicAnswer<ChangedTopic> delete_topic(std::string_view name);
  /// Removes what lies before `offset` (clamped to the last stable offset), as DeleteRecords.
  Answer<JournalPosition> delete_records(Partition& partition, Offset offset);

  // --- Durability. ---

  JournalPosition durable() const;
  /// The position behind everything appended so far.
  JournalPosition end() const;
  /// In the order of positions, never inside this call, never after a failure.
  void when_durable(JournalPosition position, Callback<void()> callback);
  /// co_await wait_durable(position): does not return after a failure.
  Task<void> wait_durable(JournalPosition position);
  /// Too much waits to be written: read no more requests until when_not_full calls back.
  bool is_full() const;
  /// Of entries that are in memory and not in the journal's file yet.
  std::size_t buffered_bytes() const;
  void when_not_full(Callback<void()> callback);
  bool has_failed() const;

  /// Called when a partition's high watermark or last stable offset has moved, once a partition and
  /// sync, before the when_durable callbacks of that sync: wakes fetches. It must not change
  /// topics. One listener.
  void on_partition_advanced(std::function<void(Partition&)> listener);
  /// Called before a topic's partitions are destroyed: whoever keeps a Partition& lets go.
  void on_topic_removed(std::function<void(const Topic&)> listener);

  // --- Watching (log/log_changes.h). ---

  /// From now on what changes is kept for take_news; all that there is counts as changed.
  void watch();
  /// take_news gives what has changed up to now, a piece of about `count_max` each, until has_news
  /// says that nothing is left.
  void begin_news();
  bool has_news() const;
  LogNews take_news(std::size_t count_max);

  // --- Upkeep. ---

  /// Writes the coordinators' snapshot into a checkpoint; called while the log is quiet within a
  /// turn.
  void set_snapshot_writer(std::function<void(Buffer&)> writer);
  /// By itself every checkpoint_every_bytes; returns when that one is durable.
  Task<Status> checkpoint();
  /// What the timer does every retention_check_interval: over all partitions, in slices of time,
  /// the first of them at once. Nothing if it is under way.
  void apply_retention();
  /// At once, for what has changed on one topic; nothing if there is none.
  void apply_retention(std::string_view topic);
  /// Writes what is pending and a last checkpoint. The Log takes nothing more.
  Task<Status> close();

  struct Statistics {
    std::uint64_t journal_bytes = 0;  ///< since the last checkpoint
    std::uint64_t journal_flushes = 0;
    Duration last_flush{};
    std::uint64_t checkpoint_count = 0;
    std::uint64_t replayed_bytes = 0;  ///< at this start
    Duration recovery{};
    /// What the disk has left now; nothing if it does not say.
    std::optional<std::uint64_t> free_bytes;
    std::uint64_t free_bytes_min = 0;  ///< the reserve
    bool is_out_of_room = false;       ///< appends are refused
  };
  Statistics statistics() const;

 private:
  explicit Log(std::unique_ptr<LogState> state);

  void start_upkeep(Duration first_after);
  Task<void> retain_all(std::shared_ptr<bool> alive);
  std::size_t retain(Partition& partition, std::int64_t now_ms);
  JournalPosition move_log_start(Partition& partition, Offset offset);

  std::unique_ptr<LogState> state_;
  bool is_retaining_ = false;
};

}  // namespace onceflow::log
