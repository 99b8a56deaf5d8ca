// StageTask: what a worker runs for one stage of the plan. Two kinds: topic_stage.h commits in a
// Kafka transaction, sink_stage.h in the sink's transaction.
//
// The life of both is one straight loop: recover (the one way in: after start, rebalance, doubt or
// crash), then poll, process, commit, again and again; rebalance, retry and shutdown are ways of
// leaving it, and all come back through recover.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/task.h"
#include "client/cluster.h"
#include "engine/rehearsal.h"
#include "engine/stage_news.h"
#include "engine/stage_options.h"
#include "engine/stage_status.h"
#include "engine/topology.h"
#include "protocol/stage_receipts.h"

namespace onceflow::engine {

class StageTask {
 public:
  virtual ~StageTask() = default;
  /// Instead of run(): what it would find if it held all partitions now. Nothing is written. An
  /// error is run()'s; one that is not final says what could not be asked.
  virtual Task<Status> rehearse(StageRehearsal& found) = 0;
  /// Runs until stop(), or until something is wrong that recovery cannot mend; the error says what.
  virtual Task<Status> run() = 0;
  /// run() finishes the open commit and returns soon.
  virtual void stop() = 0;
  /// run() processes and commits what there is by now, for a few seconds at most, and returns. For
  /// a stage after one that has failed.
  virtual void drain() = 0;
  virtual const StageStatus& status() const = 0;
  /// Brings what status() says of the ends of the input up to now.
  virtual void refresh_status() = 0;
  /// Before run(): the hashes of former definitions whose states it goes on with.
  virtual void accept_states(std::vector<std::uint64_t> /*definitions*/) {}
  /// Before run(): of all stages of the pipeline that have receipts in the stage's database; empty:
  /// its receipts are elsewhere.
  virtual Task<Result<protocol::ReceiptsByStage>> receipts_by_stage() {
    co_return protocol::ReceiptsByStage{};
  }
  /// Before run(): a record of others is refused where it is read.
  virtual void expect_writers(SourceWriters writers) = 0;
  /// Before run(): the pipeline's newest start-over, for positions that are not in the log.
  virtual void begin_after(std::optional<StartOver> /*start_over*/) {}
  /// Before run(): what the worker has met with while it prepared.
  virtual void report(StageEvent event, StageCause cause, Aloud aloud) = 0;
  /// Gives its partitions to the others, whatever run() is waiting for; its open commit is fenced.
  virtual Task<void> leave_group(MonotonicTime deadline) = 0;
};

/// The operators of a stage, made anew for one worker.
class OperatorChain {
 public:
  static Result<OperatorChain> make(const Stage& stage);
  Status process(Chunk& chunk) const {
    for (const std::unique_ptr<Operator>& next : operators_) {
      RETURN_IF_ERROR(next->process(chunk));
    }
    return {};
  }

 private:
  std::vector<std::unique_ptr<Operator>> operators_;
};

/// `state_definition`: what makes the state of an aggregate here (docs/formats/definition.md).
std::unique_ptr<StageTask> make_topic_stage(std::shared_ptr<client::Cluster> cluster,
                                            const Stage& stage, StageOptions options,
                                            std::string state_definition);
std::unique_ptr<StageTask> make_sink_stage(std::shared_ptr<client::Cluster> cluster,
                                           const Stage& stage, StageOptions options);

}  // namespace onceflow::engine
