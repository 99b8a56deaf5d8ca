#include "pipeline/step_to_add.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "engine/refusals.h"

namespace onceflow::pipeline {

std::string free_step_id(const PipelineSpec& spec) {
  const auto is_taken = [&](const std::string& id) {
    return std::ranges::find(spec.steps, id, &StepSpec::id) != spec.steps.end() ||
           std::ranges::find(spec.sinks, id, &SinkSpec::id) != spec.sinks.end();
  };
  std::string id = "known";
  for (int number = 2; is_taken(id); ++number) {
    id = fmt::format("known-{}", number);
  }
  return id;
}

Problem with_free_step_id(Problem problem, const PipelineSpec& spec) {
  problem.fix = engine::with_step_id(std::move(problem.fix), free_step_id(spec));
  return problem;
}

std::vector<Problem> with_free_step_ids(std::vector<Problem> problems, const PipelineSpec& spec) {
  for (Problem& problem : problems) {
    problem = with_free_step_id(std::move(problem), spec);
  }
  return problems;
}

}  // namespace onceflow::pipeline
