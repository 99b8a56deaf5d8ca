#include "sim/pipelines/judges.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "audit/report.h"
#include "sim/audit_node.h"
#include "sim/tampering.h"

namespace onceflow::sim {

void judge_by_both(SimWorld& world, const SimDatabase::Image& image,
                   const std::vector<Judged>& judged, Findings& findings) {
  for (const auto& [pipeline, input] : judged) {
    const std::vector<Finding> found = pipeline.judge(image, input);
    for (const Finding& finding : found) {
      findings.report(finding.invariant, finding.text);
    }
    const std::string audited = audit(world, image, pipeline);
    if (found.empty() && !audited.empty()) {
      findings.report("AUD-1", fmt::format("the audit of {} finds what the model does not: {}",
                                           pipeline.name(), audited));
    } else if (!found.empty() && audited.empty()) {
      findings.report("AUD-1", fmt::format("the audit of {} says clean", pipeline.name()));
    }
  }
}

void judge_the_judges(SimWorld& world, SimDatabase::Image image, const std::vector<Judged>& judged,
                      Findings& findings) {
  const auto [table, done] = tamper(image, world.random());
  for (const auto& [pipeline, input] : judged) {
    // Where a pipeline that begins at the end began, the model knows by the rows alone.
    if (pipeline.table() != table || pipeline.begins_at_latest()) {
      continue;
    }
    if (pipeline.judge(image, input).empty()) {
      findings.report("AUD-1", "the model does not see that " + done);
    }
    if (audit(world, image, pipeline).empty()) {
      findings.report("AUD-1", "the audit does not see that " + done);
    }
  }
}

std::string audit(SimWorld& world, const SimDatabase::Image& image, const DrawnPipeline& pipeline) {
  const auto report = audit_in_world(world, DrawnPipeline::plan(pipeline.file()), image);
  if (!report) {
    return "it cannot judge: " + report.error().text;
  }
  std::string text;
  for (const audit::Finding& finding : report->findings.kept()) {
    text += fmt::format("{}{}: {}", text.empty() ? "" : "; ", audit::to_string(finding.kind),
                        finding.text);
  }
  return text;
}

bool says_all_is_there(SimWorld& world, const SimDatabase::Image& image,
                       const DrawnPipeline& pipeline) {
  const auto report = audit_in_world(world, DrawnPipeline::plan(pipeline.file()), image);
  return report && audit::verdict(*report).contains("to the last row");
}

std::string audit_notes(SimWorld& world, const SimDatabase::Image& image,
                        const DrawnPipeline& pipeline) {
  const auto report = audit_in_world(world, DrawnPipeline::plan(pipeline.file()), image);
  return report ? fmt::format("{}", fmt::join(report->findings.notes(), "; "))
                : "it cannot judge: " + report.error().text;
}

}  // namespace onceflow::sim
