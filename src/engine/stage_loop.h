// StageLoop: the loop that both kinds of stage share: recover, work, and what to do when work ends.
// Owned by the worker, runs on its thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/hold_inquiry.h"
#include "engine/input_watch.h"
#include "engine/stage.h"
#include "engine/stage_news.h"
#include "engine/stage_reader.h"
#include "engine/start_positions.h"

namespace onceflow::engine {

class StageLoop : public StageTask {
 public:
  StageLoop(std::shared_ptr<client::Cluster> cluster, const Stage& stage, StageOptions options);

  ~StageLoop() override;

  Task<Status> run() final;
  void stop() final;
  void drain() final { reader_.drain(); }
  const StageStatus& status() const final { return status_; }
  void expect_writers(SourceWriters writers) final { reader_.expect_writers(writers); }
  void refresh_status() final { reader_.refresh_ends(); }
  void report(StageEvent event, StageCause cause, Aloud aloud) final {
    news_.on(event, std::move(cause), aloud);
  }
  Task<void> leave_group(MonotonicTime deadline) final;

 protected:
  /// Makes what the stage needs once; an error is final.
  virtual Status prepare() = 0;
  /// From whatever state to one in which work() may begin: the past is decided, positions are read.
  /// Returns without having begun if the reader is stopping.
  virtual Task<Status> recover(std::vector<TopicPartition> partitions) = 0;
  /// Poll, process, commit, until the reader must leave or something fails.
  virtual Task<Status> work() = 0;
  /// After work() failed: end what is open as well as can be. recover() does not rely on it.
  virtual Task<void> abandon() = 0;
  /// Why nothing comes of what recover() reads; none where it reads nothing now.
  virtual std::optional<client::Fetcher::Trouble> restore_trouble() const { return std::nullopt; }

  MonotonicTime now() const { return cluster_->scheduler().now(); }
  MonotonicTime call_deadline() const { return now() + options_.call_timeout; }
  /// For what is only polite: shorter when somebody waits for the end.
  MonotonicTime farewell_deadline() const {
    return now() + (reader_.is_stopping() ? seconds(1) : seconds(5));
  }
  /// For what is decided only when another worker's transaction has ended.
  MonotonicTime decision_deadline() const { return now() + options_.decision_wait_max(); }
  /// Reading ends here for now; what is open is to be committed.
  bool must_commit() const {
    return reader_.must_leave() || reader_.is_drained() || reader_.is_commit_due();
  }
  protocol::Receipt begin_receipt();
  struct Sources {
    std::vector<TopicPartition> partitions;  ///< of its topics that exist
    std::vector<std::string> gone;  ///< topics: not there before a first start, or deleted since
  };
  Task<Result<Sources>> find_sources();
  /// After it, the look from outside names a topic that is written to and is gone.
  Task<Status> look_up_outputs();
  /// Of topics that are gone, and would be made anew, nothing may have been read.
  Task<Status> check_not_read(PositionKeeper& keeper, const std::vector<std::string>& gone);
  /// Where reading begins; what could not be compared with the log is told. `place`: where `keeper`
  /// has its positions, as people are told.
  Task<Result<std::vector<InputAccount::Position>>> settle(PositionKeeper& keeper,
                                                           std::string place,
                                                           std::vector<KeptPosition> kept,
                                                           LogBounds bounds);

  std::shared_ptr<client::Cluster> cluster_;
  const Stage& stage_;
  const StageOptions options_;
  StageStatus status_;
  StageNews news_;
  StageReader reader_;

 private:
  Task<Status> recover_and_work();
  Task<Status> run_once();
  void fail_for_good(const Error& error);
  void note(const Error& error);
  /// Looks from outside, once a second, at whatever run() is doing.
  void look();
  bool look_for_trouble();
  bool look_for_outputs();
  /// Output, changelog, receipts; none of a sink.
  std::vector<std::string> written_topics() const;
  std::vector<std::string> without_leader(const std::vector<std::string>& topics) const;
  bool tell_gone_topics();
  void look_at_input();
  void tell_hold(const std::vector<InputWatch::Held>& held);
  void tell_standstill();
  void arm_watch();

  std::int64_t commit_number_ = 0;
  bool is_working_ = false;
  bool knows_outputs_ = false;  ///< they were looked up: one that is not known is gone
  InputWatch input_watch_;
  HoldInquiry inquiry_;
  std::vector<TopicPartition> told_held_;
  std::optional<MonotonicTime> unreachable_since_;
  std::optional<MonotonicTime> output_gone_since_;
  std::uint64_t restored_when_seen_ = 0;
  io::TimerId watch_timer_ = 0;
};

}  // namespace onceflow::engine
