// PipelineWorkers: the worker processes of a simulated run, each with all pipelines of the run, and
// the memory of what they said when they stopped for good. Owned by the workload; outlives the
// world's processes.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/worker.h"
#include "sim/checkers/findings.h"
#include "sim/pipelines/drawn_pipeline.h"
#include "sim/sim_database.h"

namespace onceflow::sim {

class PipelineWorkers {
 public:
  /// Whether they are static members of their groups, and keep their partitions when they are
  /// stopped, is drawn.
  PipelineWorkers(const std::vector<DrawnPipeline>& pipelines, SimDatabase& database,
                  SimRandom& random, Findings& findings);
  ~PipelineWorkers();

  /// Adds their nodes.
  void start();
  /// One of them is asked to end, as by SIGTERM; its node starts another.
  void stop_one(SimRandom& random);
  /// kill -9 of all of them; their nodes start others.
  void kill_all(std::string_view reason);
  /// Down until take_up(): nothing of a pipeline runs. What was refused before is forgotten then.
  void take_down();
  void take_up();
  /// One of them is paused for that long; the others are down until the next take_up(), which
  /// starts them beside the one that sleeps. What that one says when it stops, asleep no more, is
  /// no refusal of the pipeline.
  void put_one_to_sleep(Duration duration, SimRandom& random);
  /// It is awake, works for the pipeline, and is as it was before it slept.
  bool sleeper_goes_on(const DrawnPipeline& pipeline) const;
  /// From the next start on: records that were deleted unread are passed over.
  void skip_deleted() { skips_deleted_ = true; }
  /// From the next start on they run the changed files, or the files as drawn.
  void run_changed_files(bool changed);
  bool runs_changed_files() const { return runs_changed_files_; }
  /// One that runs changed files has refused one.
  bool has_refused_change() const { return has_refused_change_; }

  /// A stage that reads the input for that pipeline has said that it runs, and from where.
  bool has_begun(const DrawnPipeline& pipeline, const TopicPartition& source) const;

  /// From now on a pipeline that stops for good is not a finding; what it said is kept.
  void may_refuse() { may_refuse_ = true; }
  /// Empty: it has not stopped.
  std::string refusal_of(const DrawnPipeline& pipeline) const;

 private:
  /// A pipeline's plan for one life of a worker: its sinks are of that process.
  struct Life;

  void boot(SimProcess& process);
  Task<void> run(Life& life);
  void check_changed_lives();
  static bool is_running(const Life& life);
  engine::WorkerOptions options_of(const std::string& worker, const Life& life) const;

  const std::vector<DrawnPipeline>& pipelines_;
  SimDatabase& database_;
  Findings& findings_;
  /// In the order of their boots: a set of pointers has an order of its own in each run, and asking
  /// a worker for its state makes it ask the broker.
  std::vector<Life*> lives_;
  std::map<std::string, std::string> refusals_;
  const SimProcess* sleeper_ = nullptr;
  const bool are_static_members_;
  const bool stay_at_stop_;
  bool is_down_ = false;
  bool runs_changed_files_ = false;
  bool has_refused_change_ = false;
  bool may_refuse_ = false;
  bool skips_deleted_ = false;
};

}  // namespace onceflow::sim
