// Judges: a run's tables, judged by the model and by the product's own auditor. The two must agree:
// a difference between them is itself a finding (AUD-1), whichever of them is wrong. Stateless.
#pragma once

#include <string>
#include <vector>

#include "sim/checkers/findings.h"
#include "sim/pipelines/drawn_pipeline.h"

namespace onceflow::sim {

/// What one pipeline has left behind, and what it should have.
struct Judged {
  const DrawnPipeline& pipeline;
  const InputTopic& input;
};

/// Reports what the model finds, and where the audit says otherwise. Runs the world.
void judge_by_both(SimWorld& world, const SimDatabase::Image& image,
                   const std::vector<Judged>& judged, Findings& findings);

/// "Clean" is only worth something from those who would have seen it: one row is lost, doubled or
/// altered in the image, and both must say so.
void judge_the_judges(SimWorld& world, SimDatabase::Image image, const std::vector<Judged>& judged,
                      Findings& findings);

/// What the audit finds, as one text; empty: nothing.
std::string audit(SimWorld& world, const SimDatabase::Image& image, const DrawnPipeline& pipeline);
/// Whether it says so of all of the input, to the last row.
bool says_all_is_there(SimWorld& world, const SimDatabase::Image& image,
                       const DrawnPipeline& pipeline);
/// What it notes, as one text.
std::string audit_notes(SimWorld& world, const SimDatabase::Image& image,
                        const DrawnPipeline& pipeline);

}  // namespace onceflow::sim
