#include "app/status_of_worker.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "app/status_of_audit.h"
#include "app/status_parts.h"

namespace onceflow::app {
namespace {

using engine::StageStatus;
using Json = nlohmann::ordered_json;

std::int64_t lag_of(const StageStatus::Position& position) {
  return position.committed == kNoOffset || position.end == kNoOffset
             ? 0
             : std::max<std::int64_t>(0, position.end - position.committed);
}

double open_age_seconds(const StageStatus& stage, MonotonicTime now) {
  return stage.transaction_open_since ? to_seconds(now - *stage.transaction_open_since) : 0;
}

void add_stage(Families& families, const std::string& pipeline, const StageStatus& stage,
               MonotonicTime now) {
  const console::Labels labels{
      {"pipeline", pipeline}, {"stage", stage.stage}, {"worker", stage.worker}};
  const auto count = [&](const std::string& name, const std::string& help, std::uint64_t total) {
    families.counter(name, help).add(labels, static_cast<double>(total));
  };
  count("onceflow_stage_records_in_total", "Records read", stage.records_in);
  count("onceflow_stage_records_out_total", "Records or rows committed", stage.records_out);
  count("onceflow_stage_commits_total", "Commits", stage.commits);
  count("onceflow_stage_aborts_total", "Commits that were given up", stage.aborts);
  count("onceflow_stage_recoveries_total", "Takeovers after something went wrong",
        stage.recoveries);
  count("onceflow_txn_in_doubt_total",
        "Commits whose answer was lost, so positions were read again", stage.in_doubt);
  count("onceflow_sink_fenced_total", "Commits refused because a newer worker has taken over",
        stage.fenced);
  families.histogram("onceflow_stage_commit_latency_seconds", "From sending a commit to its answer")
      .add(labels, stage.commit_latency);
  families.gauge("onceflow_txn_open_age_seconds", "Age of the open transaction; 0: none is open")
      .add(labels, open_age_seconds(stage, now));
  families.gauge("onceflow_stage_state_keys", "Keys in the stage's state")
      .add(labels, static_cast<double>(stage.state_keys));
  console::Labels with_state = labels;
  with_state.emplace_back("state", engine::to_string(stage.state));
  families.gauge("onceflow_stage_state", "1 for the state that the stage is in")
      .add(std::move(with_state), 1);
  for (const auto& [source, position] : stage.positions) {
    console::Labels of_partition = labels;
    of_partition.emplace_back("topic", source.topic);
    of_partition.emplace_back("partition", std::to_string(source.partition.value));
    families
        .gauge("onceflow_stage_lag_records", "Offsets between the committed position and the end")
        .add(of_partition, static_cast<double>(lag_of(position)));
    families.gauge("onceflow_stage_committed_offset", "The committed input position")
        .add(std::move(of_partition), static_cast<double>(position.committed.value));
  }
}

void add_guarantees(Families& families, const pipeline::GuaranteeReport& report) {
  auto& family = families.gauge("onceflow_guarantee_info", "What is promised, and by what");
  for (const pipeline::StageReport& stage : report.stages) {
    for (const std::string& output : stage.outputs) {
      family.add({{"edge", stage.id + " -> " + output},
                  {"guarantee", std::string(pipeline::to_string(stage.guarantee))},
                  {"mechanism", stage.mechanism}},
                 1);
    }
  }
}

Json offset_json(Offset offset) { return offset == kNoOffset ? Json() : Json(offset.value); }

// Null: not known (yet).
Json lag_json(const StageStatus::Position& position) {
  return position.committed == kNoOffset || position.end == kNoOffset ? Json()
                                                                      : Json(lag_of(position));
}

Json positions_json(const StageStatus& stage) {
  Json positions = Json::array();
  for (const auto& [source, position] : stage.positions) {
    positions.push_back({{"topic", source.topic},
                         {"partition", source.partition.value},
                         {"committed_offset", offset_json(position.committed)},
                         {"end_offset", offset_json(position.end)},
                         {"lag", lag_json(position)}});
  }
  return positions;
}

std::int64_t lag_of(const StageStatus& stage) {
  std::int64_t lag = 0;
  for (const auto& [source, position] : stage.positions) {
    lag += lag_of(position);
  }
  return lag;
}

Json stage_json(const StageStatus& stage, const StageRates& rates, MonotonicTime now) {
  return {{"stage", stage.stage},
          {"state", engine::to_string(stage.state)},
          {"last_error", stage.last_error.empty() ? Json() : Json(stage.last_error)},
          {"lag", lag_of(stage)},
          {"per_second",
           {{"records_in", round_to(rates.in, 1)},
            {"records_out", round_to(rates.out, 1)},
            {"commits", round_to(rates.commits, 1)}}},
          {"totals",
           {{"records_in", stage.records_in},
            {"records_out", stage.records_out},
            {"commits", stage.commits},
            {"aborts", stage.aborts},
            {"recoveries", stage.recoveries},
            {"in_doubt", stage.in_doubt},
            {"fenced", stage.fenced}}},
          {"commit_latency_ms",
           {{"p50", round_to(to_seconds(stage.commit_latency.quantile(0.5)) * 1e3, 3)},
            {"p99", round_to(to_seconds(stage.commit_latency.quantile(0.99)) * 1e3, 3)}}},
          {"open_transaction_seconds",
           stage.transaction_open_since ? Json(round_to(open_age_seconds(stage, now), 3)) : Json()},
          {"state_keys", stage.state_keys},
          {"positions", positions_json(stage)}};
}

// One line for whoever looks in passing.
std::string summarize(const std::vector<const StageStatus*>& stages, const RunningAudit* audit,
                      MonotonicTime now) {
  std::size_t running_count = 0;
  std::int64_t lag = 0;
  std::string text;
  for (const StageStatus* stage : stages) {
    running_count += stage->state == StageStatus::State::kRunning ? 1 : 0;
    lag += lag_of(*stage);
  }
  text =
      fmt::format("{} of {} stages running, {} records behind", running_count, stages.size(), lag);
  if (audit == nullptr) {
    return text + "; no audit runs";
  }
  const audit::AuditWatch& watch = audit->watch();
  if (watch.state() == audit::AuditState::kFailed) {
    return text + "; the audit cannot judge: " + watch.reason();
  }
  if (!watch.verdict()) {
    return text + "; the first audit is under way";
  }
  return text + fmt::format("; audit {:.0f} s ago: {}", to_seconds(now - watch.verdict()->ended),
                            audit::verdict(watch.verdict()->report));
}

}  // namespace

WorkerStatusPage::WorkerStatusPage(const pipeline::PlannedPipeline& planned,
                                   const engine::Worker& worker, const io::Clock& clock)
    : planned_(planned), worker_(worker), clock_(clock), started_(clock.now()) {}

StageRates WorkerStatusPage::rates_of(const StageStatus& stage, MonotonicTime now) {
  RateWindows& windows = rates_[stage.stage];
  return {.in = windows.in.add(now, stage.records_in, started_),
          .out = windows.out.add(now, stage.records_out, started_),
          .commits = windows.commits.add(now, stage.commits, started_)};
}

console::StatusPage WorkerStatusPage::read(const RunningAudit* audit,
                                           std::optional<console::StatusPage> embedded_log) {
  const MonotonicTime now = clock_.now();
  Families families;
  const std::vector<const StageStatus*> stages = worker_.statuses();
  Json json = {{"summary", summarize(stages, audit, now)},
               {"pipeline", planned_.plan.pipeline},
               {"worker", stages.empty() ? "" : stages.front()->worker},
               {"guarantee", pipeline::to_string(planned_.report.guarantee)},
               {"uptime_seconds", round_to_ms(now - started_)},
               {"audit", Json::parse(audit_json(audit, now))},
               {"stages", Json::array()}};
  for (const StageStatus* stage : stages) {
    add_stage(families, planned_.plan.pipeline, *stage, now);
    json["stages"].push_back(stage_json(*stage, rates_of(*stage, now), now));
  }
  add_guarantees(families, planned_.report);
  add_audit(families, planned_.plan.pipeline, audit);
  families.gauge("onceflow_uptime_seconds", "Since this worker started")
      .add({}, to_seconds(now - started_));
  if (embedded_log) {
    json["broker"] = Json::parse(embedded_log->json);
    families.merge(std::move(embedded_log->metrics));
  }
  families.add_process();
  return {families.take(), lay_out(json.dump(-1, ' ', false, Json::error_handler_t::replace))};
}

}  // namespace onceflow::app
