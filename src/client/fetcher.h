// Fetcher: reads the assigned partitions. One Fetch is in flight per broker, and the next goes out
// before the last one is processed. Records are views into the fetched bytes; nothing is allocated
// per record.
//
// What was fetched stays packed until it is polled, and a poll unpacks one batch after another up
// to a bound: memory follows what is worked on, not what compressed bytes may become.
//
// Owned by the worker that reads; runs on the cluster's scheduler.
//
// With read_committed the fetcher leaves out aborted transactions and control records itself, as
// the protocol asks of clients, and moves the position past them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/task.h"
#include "client/cluster.h"
#include "client/options.h"
#include "protocol/record_batch.h"

namespace onceflow::client {

/// Offsets of which the log says that what was stored there is lost: `onceflow salvage` could not
/// read it.
struct LostRange {
  Offset from;
  Offset next;
};

/// A run of records of one partition, in order. Its views live as long as the run does.
class FetchedRun {
 public:
  TopicPartition partition;
  /// The position after this run; it may lie past the last record (control records, aborted ones).
  Offset next_offset;
  Offset high_watermark;
  Offset last_stable_offset;

  /// Calls visit(const protocol::RecordBatchHeader&, const protocol::RecordView&) for every record;
  /// header.offset_of(record) and header.timestamp_of(record) are its place and time. There may be
  /// none. kCorrupt: a batch does not hold the records it claims.
  template <typename Visitor>
  Status for_each(Visitor&& visit) const {
    for (const protocol::DecodedBatch& batch : batches) {
      protocol::RecordReader reader = batch.records();
      protocol::RecordView record;
      while (reader.next(record)) {
        if (batch.header().offset_of(record) >= first_offset) [[likely]] {
          visit(batch.header(), record);
        }
      }
      if (!reader.complete()) {
        return corrupt(batch.header().base_offset);
      }
    }
    return {};
  }

  /// Batches with data that is to be shown; records below first_offset were fetched along.
  std::vector<protocol::DecodedBatch> batches;
  Offset first_offset;
  std::vector<LostRange> lost;  ///< in order, at or after first_offset
  std::shared_ptr<const Buffer>
      bytes;  ///< what the batches view; shared with runs of the same answer

 private:
  friend class RunReader;
  Status corrupt(Offset base_offset) const;
};

/// Reads a run in pieces of the caller's choice. Its views live as long as the reader does.
class RunReader {
 public:
  explicit RunReader(FetchedRun run);

  const FetchedRun& run() const { return run_; }
  /// Nothing is left of it.
  bool is_done() const { return !reader_ && !has_waiting_; }

  /// Calls visit(header, record) for the records not visited yet, in order, until it returns false:
  /// that record has not been taken and comes first the next time. kCorrupt: a batch does not hold
  /// the records it claims.
  template <typename Visitor>
  Status read(Visitor&& visit) {
    if (has_waiting_) {
      if (!visit(header(), waiting_)) {
        return {};
      }
      has_waiting_ = false;
    }
    protocol::RecordView record;
    while (reader_) {
      const protocol::RecordBatchHeader& header = this->header();
      protocol::RecordReader reader = *reader_;  // a copy stays in registers
      while (reader.next(record)) {
        if (header.offset_of(record) < run_.first_offset) [[unlikely]] {
          continue;
        }
        if (!visit(header, record)) {
          waiting_ = record;
          has_waiting_ = true;
          *reader_ = reader;
          return {};
        }
      }
      *reader_ = reader;
      RETURN_IF_ERROR(next_batch());
    }
    return {};
  }

  /// The run, for its memory: views of its records stay valid.
  FetchedRun take_run() && { return std::move(run_); }

 private:
  const protocol::RecordBatchHeader& header() const { return run_.batches[index_].header(); }
  Status next_batch();

  FetchedRun run_;
  std::size_t index_ = 0;
  std::optional<protocol::RecordReader> reader_;  ///< of batch index_; none after the last one
  protocol::RecordView waiting_;                  ///< was shown and not taken
  bool has_waiting_ = false;
};

/// The position of a partition is outside its log. The owner decides where to go on: seek().
struct OffsetOutOfRange {
  TopicPartition partition;
  Offset position;
};

struct PollResult {
  std::vector<FetchedRun> runs;
  std::vector<OffsetOutOfRange> out_of_range;
};

class Fetcher {
 public:
  /// A poll unpacks up to that many bytes, or one batch if that is larger.
  Fetcher(std::shared_ptr<Cluster> cluster, FetchOptions options,
          std::size_t unpacked_bytes_max = std::size_t{1} << 20);
  ~Fetcher();
  Fetcher(Fetcher&&) noexcept;
  Fetcher& operator=(Fetcher&&) noexcept;

  struct Position {
    TopicPartition partition;
    Offset offset;
    /// Where it is known, only this topic is read: one that was made again under the name ends the
    /// fetcher with kRefused. Zeros: whatever has the name.
    TopicId topic_id{};
  };
  /// Replaces the assignment. Whatever was fetched for other partitions, or for other positions, is
  /// dropped.
  void assign(std::vector<Position> positions);
  /// Moves one partition; drops what was fetched of it.
  void seek(const TopicPartition& partition, Offset offset);
  void pause(const TopicPartition& partition);
  void resume(const TopicPartition& partition);

  /// Some of what has been fetched, at most one run a partition, unpacked up to
  /// unpacked_bytes_max or one batch; waits for some. Empty at the deadline or after
  /// wake(). kCancelled, kCorrupt (a batch does not decode or its checksum is wrong; names it),
  /// kRefused.
  Task<Result<PollResult>> poll(MonotonicTime deadline);
  /// Ends the poll that waits now, or the next one.
  void wake();

  /// The offset after the last run that poll() handed out.
  Offset position(const TopicPartition& partition) const;
  /// As the last answer said: high watermark, or last stable offset under read_committed.
  Offset known_end(const TopicPartition& partition) const;
  /// Both as the last answer said; kNoOffset before the first for this position.
  struct Ends {
    Offset last_stable = kNoOffset;
    Offset high_watermark = kNoOffset;
    MonotonicTime heard_at;
  };
  Ends known_ends(const TopicPartition& partition) const;
  /// Why nothing comes of a partition: what the questions of the last time met with, one after the
  /// other, while they are asked again. None once an answer has come. Of several the oldest.
  struct Trouble {
    Error error;
    MonotonicTime since;
  };
  std::optional<Trouble> trouble() const;
  /// True once position() has met known_end(), which was read from an answer for this position.
  bool is_at_end(const TopicPartition& partition) const;

  void close();

 private:
  class Core;
  std::shared_ptr<Core> core_;  ///< shared with its own background coroutines
};

}  // namespace onceflow::client
