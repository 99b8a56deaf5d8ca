// StageReader: the input side of a stage: membership in its consumer group, the fetcher, and the
// account of what the open commit has read.
//
// Owned by its stage; runs on the worker's thread. A rebalance is a way of leaving the stage's
// loop: the stage sees must_leave(), finishes its commit, and comes back through
// wait_for_assignment().
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "client/admin.h"
#include "client/consumer_group.h"
#include "client/fetcher.h"
#include "engine/input_account.h"
#include "engine/input_watch.h"
#include "engine/record.h"
#include "engine/stage_news.h"
#include "engine/stage_options.h"
#include "engine/stage_status.h"
#include "io/event.h"

namespace onceflow::engine {

class StageReader {
 public:
  StageReader(std::shared_ptr<client::Cluster> cluster, const Stage& stage,
              const StageOptions& options, StageStatus& status, StageNews& news);

  /// Begins to join the group.
  void start();
  /// The stage is to end: everything that waits here returns soon.
  void stop();
  bool is_stopping() const { return stopping_; }
  /// Something is to be done outside of the read loop: a rebalance, or the end.
  bool must_leave() const { return stopping_ || group_.has_event() || group_.failure() != nullptr; }

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

  /// Reads what has come, until the deadline at most, and shows it in chunks. Every record is
  /// counted in the account before it is shown. A position outside the log is an error for recovery
  /// to judge. kRefused: the topic was deleted and made again.
  Task<Status> poll(MonotonicTime deadline, const std::function<Status(Chunk&)>& process);
  /// From now on chunks, and the fetched bytes they view, live until release(), not only while
  /// shown.
  void keep_chunks() { keeps_chunks_ = true; }
  void release();

  InputAccount& account() { return account_; }
  client::ConsumerGroup& group() { return group_; }
  /// Of the generation in which the open commit's records are read.
  const client::GroupMetadata& group_metadata() const { return group_metadata_; }
  /// Notes committed positions and known ends in the status.
  void report_positions();
  void refresh_ends();
  std::vector<InputWatch::Partition> input_view() const;
  const std::optional<client::Fetcher::Trouble>& fetch_trouble() const {
    return fetcher_.trouble();
  }

  /// As options.at_stop says.
  Task<void> leave(MonotonicTime deadline);

 private:
  Status take_group_events();
  void tell_waiting();
  /// Asks who holds the partitions, or which topic is missing.
  Task<void> explain_waiting();
  using Process = std::function<Status(Chunk&)>;
  Status show(const client::FetchedRun& run, const Process& process);
  Status show_chunk(std::unique_ptr<Chunk>& chunk, const Process& process);
  std::unique_ptr<Chunk> take_chunk(const TopicPartition& source);

  std::shared_ptr<client::Cluster> cluster_;
  const StageOptions& options_;
  const Stage& stage_;
  StageStatus& status_;
  StageNews& news_;
  client::ConsumerGroup group_;
  client::Fetcher fetcher_;
  client::Admin admin_;
  io::Event changed_;
  InputAccount account_;
  bool stopping_ = false;
  bool is_out_of_range_ = false;
  std::vector<TopicPartition> partitions_;  ///< held, as of the last event taken
  client::GroupMetadata group_metadata_;
  bool keeps_chunks_ = false;
  std::vector<client::FetchedRun> kept_runs_;
  std::vector<std::unique_ptr<Chunk>> kept_chunks_;
  std::vector<std::unique_ptr<Chunk>> spare_chunks_;
};

/// What a stage says that waits for a source topic.
StageCause missing_topic(const std::string& topic);

}  // namespace onceflow::engine
