// StageLoop: the loop that both kinds of stage share: recover, work, and what to do when work ends.
// Owned by the worker, runs on its thread.
#pragma once

#include <string>

#include "engine/stage.h"
#include "engine/stage_reader.h"

namespace onceflow::engine {

class StageLoop : public StageTask {
 public:
  StageLoop(std::shared_ptr<client::Cluster> cluster, const Stage& stage, StageOptions options);

  Task<Status> run() final;
  void stop() final { reader_.stop(); }
  const StageStatus& status() const final { return status_; }

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

  MonotonicTime now() const { return cluster_->scheduler().now(); }
  MonotonicTime call_deadline() const { return now() + options_.call_timeout; }
  protocol::Receipt begin_receipt();

  std::shared_ptr<client::Cluster> cluster_;
  const Stage& stage_;
  const StageOptions options_;
  StageStatus status_;
  StageReader reader_;

 private:
  Task<Status> run_once();
  void note(const Error& error);

  std::int64_t commit_number_ = 0;
};

}  // namespace onceflow::engine
