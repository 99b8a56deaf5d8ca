#include "audit/report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "audit/names.h"

namespace onceflow::audit {
namespace {

std::string describe(const StageReport& stage) {
  std::string text =
      fmt::format("  {}: {} -> {}\n    {} in {}, {} read, {} written", stage.stage,
                  fmt::join(stage.sources, ", "), fmt::join(stage.outputs, ", "),
                  count_of(stage.range_count, "range"), count_of(stage.commit_count, "commit"),
                  count_of(stage.records_in, "record"), stage.records_out);
  if (stage.rows_verified > 0) {
    text += fmt::format(", {} verified in the table", count_of(stage.rows_verified, "row"));
  }
  if (stage.not_yet_processed > 0) {
    text += fmt::format("; not yet processed: {}", count_of(stage.not_yet_processed, "record"));
  }
  return text + fmt::format(": {}\n", stage.finding_count == 0
                                          ? std::string("clean")
                                          : count_of(stage.finding_count, "finding"));
}

nlohmann::json to_json(const PartitionReport& partition) {
  return {{"topic", partition.source.topic},
          {"partition", partition.source.partition.value},
          {"verified_offset", partition.verified_offset.value},
          {"end_offset", partition.end_offset.value},
          {"not_yet_processed", partition.not_yet_processed}};
}

nlohmann::json to_json(const StageReport& stage) {
  nlohmann::json partitions = nlohmann::json::array();
  for (const PartitionReport& partition : stage.partitions) {
    partitions.push_back(to_json(partition));
  }
  return {{"stage", stage.stage},
          {"sources", stage.sources},
          {"outputs", stage.outputs},
          {"commits", stage.commit_count},
          {"ranges", stage.range_count},
          {"records_in", stage.records_in},
          {"records_out", stage.records_out},
          {"rows_verified", stage.rows_verified},
          {"not_yet_processed", stage.not_yet_processed},
          {"findings", stage.finding_count},
          {"partitions", std::move(partitions)}};
}

std::string being_reset(const AuditReport& report) {
  return report.is_being_reset ? ", and a reset has not ended" : "";
}

}  // namespace

std::int64_t AuditReport::input_records() const {
  std::int64_t count = 0;
  for (const StageReport& stage : stages) {
    count += stage.reads_pipeline_input ? stage.records_in : 0;
  }
  return count;
}

std::int64_t AuditReport::not_yet_processed() const {
  std::int64_t count = 0;
  for (const StageReport& stage : stages) {
    count += stage.not_yet_processed;
  }
  return count;
}

std::string verdict(const AuditReport& report) {
  const Findings& findings = report.findings;
  const std::int64_t lag = report.not_yet_processed();
  if (report.has_judged_nothing()) {
    return "nothing to judge: no stage has left a receipt" +
           (lag > 0 ? fmt::format(", {} not yet processed", lag) : std::string()) +
           being_reset(report);
  }
  if (!report.has_findings()) {
    std::string text = fmt::format("{}{} accounted for{}", report.is_clean() ? "clean — " : "",
                                   count_of(report.input_records(), "input record"),
                                   report.is_clean() && lag == 0 ? " to the last row" : "");
    if (const std::int64_t skipped = findings.skipped_offset_count(); skipped > 0) {
      text += fmt::format(", {} skipped by operator", count_of(skipped, "offset"));
    }
    if (const std::int64_t parts = findings.not_covered_count(); parts > 0) {
      text += fmt::format(", {} not covered", count_of(parts, "part"));
    }
    if (report.redefined_stages > 0) {
      text += fmt::format(", {} under more than one definition",
                          count_of(report.redefined_stages, "stage"));
    }
    if (lag > 0) {
      text += fmt::format(", {} not yet processed", lag);
    }
    if (report.allowed_repeats > 0) {
      text += fmt::format(", {} repeated as at_least_once allows",
                          count_of(report.allowed_repeats, "record"));
    }
    return text + being_reset(report);
  }
  std::vector<std::string> kinds;
  for (const FindingKind kind : kFindingKinds) {
    if (findings.count(kind) > 0) {
      kinds.push_back(fmt::format("{} {}", findings.count(kind), to_string(kind)));
    }
  }
  return fmt::format("{} ({}){}", count_of(findings.count(), "finding"), fmt::join(kinds, ", "),
                     being_reset(report));
}

std::string to_text(const AuditReport& report) {
  std::string text = fmt::format("audit of pipeline {}\n", report.pipeline);
  for (const StageReport& stage : report.stages) {
    text += describe(stage);
  }
  for (const std::string& note : report.findings.notes()) {
    text += fmt::format("  note: {}\n", note);
  }
  FindingKind last_kind = FindingKind::kMissing;
  std::int64_t shown = 0;
  const auto tell_rest = [&] {
    if (const std::int64_t rest = report.findings.count(last_kind) - shown; shown > 0 && rest > 0) {
      text += fmt::format("{}: and {} more\n", to_string(last_kind), rest);
    }
  };
  for (const Finding& finding : report.findings.kept()) {
    if (finding.kind != last_kind) {
      tell_rest();
      last_kind = finding.kind;
      shown = 0;
    }
    ++shown;
    text += fmt::format("{}: {}\n", to_string(finding.kind), finding.text);
  }
  tell_rest();
  return text + fmt::format("audit: {}\n", verdict(report));
}

std::string to_json(const AuditReport& report) {
  nlohmann::json json = {{"pipeline", report.pipeline},
                         {"verdict", report.has_findings()         ? "findings"
                                     : report.has_judged_nothing() ? "nothing"
                                     : report.is_partly()          ? "partly"
                                                                   : "clean"},
                         {"text", verdict(report)},
                         {"input_records", report.input_records()},
                         {"not_yet_processed", report.not_yet_processed()},
                         {"allowed_repeats", report.allowed_repeats},
                         {"skipped_offsets", report.findings.skipped_offset_count()},
                         {"redefined_stages", report.redefined_stages},
                         {"parts_not_covered", report.findings.not_covered_count()},
                         {"notes", report.findings.notes()}};
  for (const FindingKind kind : kFindingKinds) {
    json["counts"][to_string(kind)] = {{"findings", report.findings.count(kind)},
                                       {"records", report.findings.record_count(kind)}};
  }
  json["findings"] = nlohmann::json::array();
  for (const Finding& finding : report.findings.kept()) {
    json["findings"].push_back({{"kind", to_string(finding.kind)},
                                {"stage", finding.stage},
                                {"records", finding.record_count},
                                {"text", finding.text}});
  }
  json["stages"] = nlohmann::json::array();
  for (const StageReport& stage : report.stages) {
    json["stages"].push_back(to_json(stage));
  }
  // Names may hold bytes that are no UTF-8; they are replaced, not refused.
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace onceflow::audit
