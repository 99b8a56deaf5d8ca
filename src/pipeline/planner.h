// Planner: a checked pipeline file to a plan of stages, and what the plan promises.
//
// Every stage has one commit point, in which its input positions move. So:
//   steps and Kafka sinks                  one stage; it commits in a Kafka transaction
//   steps and one database sink alone      one stage; it commits in the database's transaction
//   key and aggregate                      a repartition topic between two stages
//   a database sink beside or after others a stage of its own, reading the topic before it
// A pipeline that touches two systems is never one stage, so no two-phase commit is ever needed.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "engine/topology.h"
#include "pipeline/file.h"
#include "pipeline/problem.h"
#include "pipeline/spec.h"

namespace onceflow::pipeline {

/// One stage, for people.
struct StageReport {
  std::string id;
  std::vector<std::string> sources;
  std::string group_id;
  std::vector<std::string> steps;    ///< "where only-paid", in order
  std::vector<std::string> outputs;  ///< "topic revenue", "table revenue (postgres, upsert)"
  std::string commit_point;
  engine::Guarantee guarantee = engine::Guarantee::kExactlyOnce;
  std::string mechanism;
};

/// What is promised, by what, and what must be true for it.
struct GuaranteeReport {
  engine::Guarantee guarantee = engine::Guarantee::kExactlyOnce;
  std::vector<StageReport> stages;
  std::vector<std::string> assumptions;
};

struct PlannedPipeline {
  PipelineSpec spec;
  engine::Plan plan;
  GuaranteeReport report;
};

/// The plan, or why the guarantee that was asked for cannot hold: each with the line to change.
std::expected<PlannedPipeline, std::vector<Problem>> plan_pipeline(PipelineSpec spec);

/// parse_pipeline and plan_pipeline.
std::expected<PlannedPipeline, std::vector<Problem>> plan_file(const std::string& file,
                                                               std::string_view text,
                                                               const Variables& variables);

/// "exactly once", "at least once".
std::string_view to_string(engine::Guarantee guarantee);

}  // namespace onceflow::pipeline
