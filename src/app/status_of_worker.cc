#include "app/status_of_worker.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "app/status_parts.h"

namespace onceflow::app {
namespace {

using engine::StageStatus;

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

nlohmann::json positions_json(const StageStatus& stage, std::int64_t& lag_total) {
  nlohmann::json positions = nlohmann::json::array();
  for (const auto& [source, position] : stage.positions) {
    lag_total += lag_of(position);
    positions.push_back({{"topic", source.topic},
                         {"partition", source.partition.value},
                         {"committed_offset", position.committed.value},
                         {"end_offset", position.end.value},
                         {"lag", lag_of(position)}});
  }
  return positions;
}

nlohmann::json stage_json(const StageStatus& stage, MonotonicTime now) {
  std::int64_t lag = 0;
  nlohmann::json positions = positions_json(stage, lag);
  nlohmann::json open_age = nullptr;
  if (stage.transaction_open_since) {
    open_age = open_age_seconds(stage, now);
  }
  return {{"stage", stage.stage},
          {"state", engine::to_string(stage.state)},
          {"records_in", stage.records_in},
          {"records_out", stage.records_out},
          {"commits", stage.commits},
          {"aborts", stage.aborts},
          {"recoveries", stage.recoveries},
          {"in_doubt", stage.in_doubt},
          {"fenced", stage.fenced},
          {"state_keys", stage.state_keys},
          {"lag", lag},
          {"transaction_open_seconds", std::move(open_age)},
          {"commit_latency_seconds",
           {{"count", stage.commit_latency.count()},
            {"p50", to_seconds(stage.commit_latency.quantile(0.5))},
            {"p99", to_seconds(stage.commit_latency.quantile(0.99))}}},
          {"positions", std::move(positions)},
          {"last_error", stage.last_error}};
}

}  // namespace

WorkerStatusPage::WorkerStatusPage(const pipeline::PlannedPipeline& planned,
                                   const engine::Worker& worker, const io::Clock& clock)
    : planned_(planned), worker_(worker), clock_(clock), started_(clock.now()) {}

console::StatusPage WorkerStatusPage::read() {
  const MonotonicTime now = clock_.now();
  Families families;
  nlohmann::json json = {{"pipeline", planned_.plan.pipeline},
                         {"guarantee", pipeline::to_string(planned_.report.guarantee)},
                         {"uptime_seconds", to_seconds(now - started_)},
                         // Audits run in processes of their own: see `onceflow audit`.
                         {"audit", "never"}};
  json["stages"] = nlohmann::json::array();
  for (const StageStatus* stage : worker_.statuses()) {
    json["worker"] = stage->worker;
    add_stage(families, planned_.plan.pipeline, *stage, now);
    nlohmann::json entry = stage_json(*stage, now);
    Rates& rates = rates_[stage->stage];
    entry["records_in_per_second"] = rates.in.add(now, stage->records_in, started_);
    entry["records_out_per_second"] = rates.out.add(now, stage->records_out, started_);
    entry["commits_per_second"] = rates.commits.add(now, stage->commits, started_);
    json["stages"].push_back(std::move(entry));
  }
  add_guarantees(families, planned_.report);
  families.gauge("onceflow_uptime_seconds", "Since this worker started")
      .add({}, to_seconds(now - started_));
  families.add_process();
  return {families.take(),
          json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n"};
}

}  // namespace onceflow::app
