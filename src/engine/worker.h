// Worker: runs the stages of a plan in one thread: makes the topics that are missing, then one
// StageTask a stage. Any number of workers, in any number of processes, share the work as consumer
// groups.
//
// Owned by the program (or the simulator), runs on its environment's scheduler.
#pragma once

#include <memory>
#include <vector>

#include "client/cluster.h"
#include "engine/stage.h"
#include "engine/topology.h"
#include "io/environment.h"

namespace onceflow::engine {

struct WorkerOptions {
  client::ClientOptions client;
  /// Everything but what the plan says (pipeline, receipts_topic, guarantee, commit_interval).
  StageOptions stage;
};

class Worker {
 public:
  /// The plan must outlive the worker.
  Worker(io::Environment environment, const Plan& plan, WorkerOptions options);
  ~Worker();

  /// Runs until stop(), or until a stage has failed for good: then the others are stopped too and
  /// the first error is returned. A cluster that is away is waited for.
  Task<Status> run();
  /// Every stage finishes its open commit and leaves its group; run() returns soon.
  void stop();

  std::vector<const StageStatus*> statuses() const;

 private:
  Task<Status> create_topics();
  Task<void> run_stage(StageTask& stage);

  io::Environment environment_;
  const Plan& plan_;
  WorkerOptions options_;
  std::shared_ptr<client::Cluster> cluster_;
  std::vector<std::unique_ptr<StageTask>> stages_;
  io::Event changed_;
  std::size_t running_count_ = 0;
  bool stopping_ = false;
  Status ended_;
};

}  // namespace onceflow::engine
