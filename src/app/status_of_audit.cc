#include "app/status_of_audit.h"

#include <nlohmann/json.hpp>

namespace onceflow::app {
namespace {

using audit::AuditState;
using audit::AuditWatch;
using audit::FindingKind;
using Json = nlohmann::ordered_json;

// "doubled" is what the report says and "duplicate" what everybody looks for in metrics.
std::string metric_name(FindingKind kind) {
  const std::string name = kind == FindingKind::kDoubled ? "duplicate" : audit::to_string(kind);
  return "onceflow_audit_" + name + "_records";
}

void add_verdict(Families& families, const console::Labels& labels, const audit::Verdict& verdict) {
  const audit::Findings& findings = verdict.report.findings;
  for (const FindingKind kind : audit::kFindingKinds) {
    families.gauge(metric_name(kind), "Records or rows in the last audit's findings of this kind")
        .add(labels, static_cast<double>(findings.record_count(kind)));
    console::Labels of_kind = labels;
    of_kind.emplace_back("kind", audit::to_string(kind));
    families.gauge("onceflow_audit_findings", "Findings of the last audit")
        .add(std::move(of_kind), static_cast<double>(findings.count(kind)));
  }
  families
      .gauge("onceflow_audit_allowed_repeats_records",
             "Records written more than once, where at_least_once allows it")
      .add(labels, static_cast<double>(verdict.report.allowed_repeats));
  families
      .gauge("onceflow_audit_not_yet_processed_records",
             "Committed records that no receipt covers yet: lag, not loss")
      .add(labels, static_cast<double>(verdict.report.not_yet_processed()));
  families.gauge("onceflow_audit_last_duration_seconds", "How long the last audit took")
      .add(labels, to_seconds(verdict.took));
  families
      .gauge("onceflow_audit_last_verdict_timestamp_seconds",
             "When the last audit reached a verdict, clean or not")
      .add(labels, static_cast<double>(verdict.ended_at.ms) / 1e3);
}

void add_accounted(Families& families, const console::Labels& labels, const audit::Verdict& clean) {
  families
      .gauge("onceflow_audit_last_success_timestamp_seconds",
             "When an audit last accounted for everything")
      .add(labels, static_cast<double>(clean.ended_at.ms) / 1e3);
  for (const audit::StageReport& stage : clean.report.stages) {
    for (const audit::PartitionReport& partition : stage.partitions) {
      if (partition.verified_offset == kNoOffset) {
        continue;
      }
      console::Labels of_partition = labels;
      of_partition.emplace_back("stage", stage.stage);
      of_partition.emplace_back("topic", partition.source.topic);
      of_partition.emplace_back("partition", std::to_string(partition.source.partition.value));
      families
          .gauge("onceflow_audit_verified_offset",
                 "All before it was accounted for by an audit without findings")
          .add(std::move(of_partition), static_cast<double>(partition.verified_offset.value));
    }
  }
}

Json verdict_json(const audit::Verdict& verdict, MonotonicTime now) {
  const audit::Findings& findings = verdict.report.findings;
  Json json = {{"text", audit::verdict(verdict.report)},
               {"at", to_iso8601(verdict.ended_at)},
               {"seconds_ago", round_to_ms(now - verdict.ended)},
               {"took_seconds", round_to_ms(verdict.took)},
               {"input_records", verdict.report.input_records()},
               {"not_yet_processed", verdict.report.not_yet_processed()},
               {"allowed_repeats", verdict.report.allowed_repeats}};
  for (const FindingKind kind : audit::kFindingKinds) {
    json["findings"][audit::to_string(kind)] = findings.count(kind);
  }
  json["found"] = Json::array();
  for (const audit::Finding& finding : findings.kept()) {
    json["found"].push_back(audit::to_string(finding.kind) + ": " + finding.text);
  }
  json["notes"] = findings.notes();
  return json;
}

Json accounted_json(const audit::Verdict& clean, MonotonicTime now) {
  Json partitions = Json::array();
  for (const audit::StageReport& stage : clean.report.stages) {
    for (const audit::PartitionReport& partition : stage.partitions) {
      if (partition.verified_offset != kNoOffset) {
        partitions.push_back({{"stage", stage.stage},
                              {"topic", partition.source.topic},
                              {"partition", partition.source.partition.value},
                              {"offset", partition.verified_offset.value},
                              {"end_offset", partition.end_offset.value}});
      }
    }
  }
  return {{"at", to_iso8601(clean.ended_at)},
          {"seconds_ago", round_to_ms(now - clean.ended)},
          {"partitions", std::move(partitions)}};
}

}  // namespace

void add_audit(Families& families, const std::string& pipeline, const AuditView* audit) {
  const console::Labels labels{{"pipeline", pipeline}};
  const AuditState state = audit == nullptr ? AuditState::kNever : audit->watch.state();
  console::Labels with_state = labels;
  with_state.emplace_back("state", audit::to_string(state));
  families.gauge("onceflow_audit_state", "1 for what is known from the last audit")
      .add(std::move(with_state), 1);
  if (audit == nullptr) {
    return;
  }
  const AuditWatch& watch = audit->watch;
  for (const AuditState ended :
       {AuditState::kClean, AuditState::kPartly, AuditState::kFindings, AuditState::kFailed}) {
    console::Labels with_result = labels;
    with_result.emplace_back("result", audit::to_string(ended));
    families.counter("onceflow_audits_total", "Audits that have ended")
        .add(std::move(with_result), static_cast<double>(watch.count(ended)));
  }
  if (watch.verdict()) {
    add_verdict(families, labels, *watch.verdict());
  }
  if (watch.last_clean()) {
    add_accounted(families, labels, *watch.last_clean());
  }
}

std::string audit_json(const AuditView* audit, MonotonicTime now) {
  Json json = {{"state", audit::to_string(AuditState::kNever)}};
  if (audit == nullptr) {
    json["reason"] =
        "no audit runs beside this worker: --audit.interval.ms starts one, `onceflow audit` makes "
        "one now";
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  const AuditWatch& watch = audit->watch;
  json["state"] = audit::to_string(watch.state());
  if (!watch.reason().empty()) {
    json["reason"] = watch.reason();
  }
  json["interval_seconds"] = round_to_ms(audit->interval);
  json["under_way"] = nullptr;
  if (watch.running_since()) {
    const audit::AuditProgress& progress = watch.latest_progress();
    json["under_way"] = {{"for_seconds", round_to_ms(now - *watch.running_since())},
                         {"doing", progress.doing},
                         {"partitions_read", progress.steps_done},
                         {"partitions", progress.steps}};
  }
  json["ended"] = {{"clean", watch.count(AuditState::kClean)},
                   {"partly", watch.count(AuditState::kPartly)},
                   {"findings", watch.count(AuditState::kFindings)},
                   {"failed", watch.count(AuditState::kFailed)}};
  if (watch.verdict()) {
    json["last_verdict"] = verdict_json(*watch.verdict(), now);
  }
  if (watch.last_clean()) {
    json["accounted_for"] = accounted_json(*watch.last_clean(), now);
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace onceflow::app
