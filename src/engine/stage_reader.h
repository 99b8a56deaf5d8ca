// StageReader: the input side of a stage: membership in its consumer group, the fetcher, and the
// account of what the open commit has read.
//
// Owned by its stage; runs on the worker's thread. A rebalance is a way of leaving the stage's
// loop: the stage sees must_leave(), finishes its commit, and comes back through
// wait_for_assignment().
//
// What was fetched is shown in chunks, one a poll, so that commits that are due, rebalances and the
// loop's other work never wait for more than one.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "client/admin.h"
#include "client/consumer_group.h"
#include "client/fetcher.h"
#include "engine/end_inquiry.h"
#include "engine/input_account.h"
#include "engine/input_watch.h"
#include "engine/record.h"
#include "engine/refusals.h"
#include "engine/stage_news.h"
#include "engine/stage_options.h"
#include "engine/stage_status.h"
#include "io/event.h"
#include "io/time_slice.h"

namespace onceflow::engine {

class StageReader {
 public:
  StageReader(std::shared_ptr<client::Cluster> cluster, const Stage& stage,
              const StageOptions& options, StageStatus& status, StageNews& news);

  /// Begins to join the group.
  void start();
  /// The stage is to end: everything that waits here returns soon.
  void stop();
  bool is_stopping() const { return stopping_ || (ends_when_drained_ && is_drained()); }
  /// Something is to be done outside of the read loop: a rebalance, or the end.
  bool must_leave() const {
    return is_stopping() || group_.has_event() || group_.failure() != nullptr;
  }

  /// Takes the group's events, gives up what was revoked (nothing is open), and waits until
  /// partitions are held; tells what it waits for. Empty only when stopping. kRefused: the group
  /// will not have this member, or another has its group.instance.id.
  Task<Result<std::vector<TopicPartition>>> wait_for_assignment();
  /// Pauses for a while, less if the stage is to leave.
  Task<void> pause(Duration duration);

  /// A fetch has said so since this was asked last.
  bool take_out_of_range() { return std::exchange(is_out_of_range_, false); }
  /// Begins to read at these positions.
  void begin_at(const std::vector<InputAccount::Position>& positions);

  /// Shows one chunk of what has come, or waits for it, until the deadline at most. Every record is
  /// counted in the account before it is shown. A position outside the log is an error for recovery
  /// to judge. kRefused: the topic was deleted and made again.
  Task<Status> poll(MonotonicTime deadline, const std::function<Status(Chunk&)>& process);
  /// From now on a record of others ends the stage, once what comes before it is committed.
  void expect_writers(SourceWriters writers) { writers_ = writers; }
  /// Lets the loop's other work go first if the stage has had it for long enough.
  auto rest() { return slice_.rest(); }
  /// From now on chunks, and the fetched bytes they view, live until release(), not only while
  /// shown.
  void keep_chunks() { keeps_chunks_ = true; }
  std::size_t kept_bytes() const { return kept_bytes_; }
  void release();

  /// What this stage has refused; refusals.h says how the record is found.
  Refusals& refusals() { return refusals_; }
  /// What was shown is a commit of its own, or what comes next is.
  bool is_commit_due() const { return is_commit_due_ && !account_.is_empty(); }
  /// The end is near and nothing is left to be read before it: a record that was refused has been
  /// reached, or drain() was called, and what else there is has been read, or waited for long
  /// enough.
  bool is_drained() const;
  /// The error of the record that a partition stands in front of, once the others are drained.
  Status held_up() const;
  /// Reads what there is by now, for a few seconds at most, then stops. For a stage after one that
  /// has failed.
  void drain();

  InputAccount& account() { return account_; }
  client::ConsumerGroup& group() { return group_; }
  /// Of the generation in which the open commit's records are read.
  const client::GroupMetadata& group_metadata() const { return group_metadata_; }
  /// Notes committed positions and known ends in the status.
  void report_positions();
  /// Notes the ends as far as they were heard of lately, and asks for those that no fetch tells.
  void refresh_ends();
  std::vector<InputWatch::Partition> input_view() const;
  std::optional<client::Fetcher::Trouble> fetch_trouble() const { return fetcher_.trouble(); }

  /// As options.at_stop says.
  Task<void> leave(MonotonicTime deadline);

 private:
  Status take_group_events();
  void tell_waiting();
  /// Asks who holds the partitions, or which topic is missing.
  Task<void> explain_waiting();
  using Process = std::function<Status(Chunk&)>;
  Task<Status> fetch(MonotonicTime deadline);
  Status show_next(const Process& process);
  ChunkLimit limit_of(const TopicPartition& source) const;
  Result<bool> fill(client::RunReader& run, Chunk& chunk, const ChunkLimit& limit);
  bool is_of_pipeline(const protocol::RecordBatchHeader& batch) const;
  Error foreign_record(const TopicPartition& source, Offset offset) const;
  Status show(std::unique_ptr<Chunk> chunk, const Process& process);
  std::unique_ptr<Chunk> take_chunk(const TopicPartition& source);
  void finish_run();
  void tell_lost(const client::FetchedRun& run);
  Status end_input(const Error& error);
  void hold(const TopicPartition& source);

  std::shared_ptr<client::Cluster> cluster_;
  const StageOptions& options_;
  const Stage& stage_;
  StageStatus& status_;
  StageNews& news_;
  client::ConsumerGroup group_;
  client::Fetcher fetcher_;
  client::Admin admin_;
  EndInquiry end_inquiry_;
  io::Event changed_;
  InputAccount account_;
  bool stopping_ = false;
  bool is_out_of_range_ = false;
  std::vector<TopicPartition> partitions_;  ///< held, as of the last event taken
  client::GroupMetadata group_metadata_;
  io::TimeSlice slice_;
  std::deque<client::RunReader> runs_;  ///< fetched, not yet all shown
  std::optional<Error> input_error_;    ///< of what comes next
  Refusals refusals_;
  bool is_commit_due_ = false;
  std::optional<MonotonicTime> drains_since_;
  bool ends_when_drained_ = false;
  MonotonicTime busy_at_;  ///< when something was shown last
  SourceWriters writers_ = SourceWriters::kAnyone;
  bool keeps_chunks_ = false;
  std::size_t kept_bytes_ = 0;
  std::vector<client::FetchedRun> kept_runs_;
  std::vector<std::unique_ptr<Chunk>> kept_chunks_;
  std::vector<std::unique_ptr<Chunk>> spare_chunks_;
};

/// What a stage says that waits for source topics: all of them that are missing.
StageCause missing_topics(const std::vector<std::string>& topics);

}  // namespace onceflow::engine
