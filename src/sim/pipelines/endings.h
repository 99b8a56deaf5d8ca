// Endings: what comes upon a pipeline that has done its work, faults over (docs/simulator.md has
// them). Each pipeline goes on right, or stops and names it: nothing may pass in silence. One by
// seed, at the end of a run, because it may be the end of the pipeline.
#pragma once

#include <functional>
#include <vector>

#include "sim/pipelines/input_feeder.h"
#include "sim/pipelines/judges.h"
#include "sim/pipelines/pipeline_workers.h"

namespace onceflow::sim {

/// What a run has, for its end. Nothing is owned.
struct EndScene {
  SimWorld& world;
  SimRandom& random;
  SimDatabase& database;
  std::vector<DrawnPipeline>& pipelines;
  PipelineWorkers& workers;
  InputFeeder& feeder;
  InputTopic& input;
  /// Of the whole database, of some time during the run.
  const SimDatabase::Image& backup;
  /// From now on the broker keeps no closed segment.
  std::function<void()> shorten_retention;
  /// The broker's disk is as a snapshot has it that was taken during the run.
  std::function<void()> restore_log;
  Findings& findings;
};

/// Draws one, and plays it.
void end_run(EndScene scene);

}  // namespace onceflow::sim
