#include "app/status_of_worker.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "app/pipeline_file.h"
#include "app/shell_words.h"
#include "app/status_of_audit.h"
#include "app/status_parts.h"

namespace onceflow::app {
namespace {

using engine::StageState;
using engine::StageStatus;
using Json = nlohmann::ordered_json;

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
  with_state.emplace_back("state", engine::to_string(stage.state()));
  families.gauge("onceflow_stage_state", "1 for the state that the stage is in")
      .add(std::move(with_state), 1);
  families.gauge("onceflow_stage_state_age_seconds", "How long it has been in it")
      .add(labels, to_seconds(now - stage.life.since()));
  for (const auto& [source, position] : stage.positions) {
    console::Labels of_partition = labels;
    of_partition.emplace_back("topic", source.topic);
    of_partition.emplace_back("partition", std::to_string(source.partition.value));
    if (const auto lag = position.lag()) {
      families
          .gauge("onceflow_stage_lag_records",
                 "Offsets between the committed position and the high watermark")
          .add(of_partition, static_cast<double>(*lag));
    }
    if (const auto held_back = position.held_back()) {
      families
          .gauge("onceflow_stage_held_back_records",
                 "Of these, offsets behind the last stable one: open transactions hide them")
          .add(of_partition, static_cast<double>(*held_back));
    }
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
template <typename T>
Json optional_json(const std::optional<T>& known) {
  return known ? Json(*known) : Json();
}

Json text_json(const std::string& text) { return text.empty() ? Json() : Json(text); }

Json positions_json(const StageStatus& stage) {
  Json positions = Json::array();
  for (const auto& [source, position] : stage.positions) {
    positions.push_back({{"topic", source.topic},
                         {"partition", source.partition.value},
                         {"committed_offset", offset_json(position.committed)},
                         {"last_stable_offset", offset_json(position.last_stable)},
                         {"end_offset", offset_json(position.end)},
                         {"lag", optional_json(position.lag())},
                         {"held_back", optional_json(position.held_back())}});
  }
  return positions;
}

Json holders_json(const StageStatus& stage) {
  Json holders = Json::array();
  for (const StageStatus::Holder& holder : stage.holders) {
    holders.push_back(
        {{"topic", holder.partition.topic},
         {"partition", holder.partition.partition.value},
         {"first_offset", offset_json(holder.first_offset)},
         {"transactional_id", text_json(holder.transactional_id)},
         {"producer_id", optional_json(holder.producer_id)},
         {"producer_epoch", optional_json(holder.producer_epoch)},
         {"started_at",
          holder.started_at_ms ? Json(to_iso8601(WallTime(*holder.started_at_ms))) : Json()},
         {"timeout_ms", optional_json(holder.timeout_ms)},
         {"unknown_why", text_json(holder.unknown_why)}});
  }
  return holders;
}

Json stage_json(const StageStatus& stage, const StageRates& rates, std::string_view named,
                Tables tables, MonotonicTime now) {
  const auto text = [&](const std::string& words) {
    return text_json(with_file_named(words, named, tables));
  };
  return {{"stage", stage.stage},
          {"state", engine::to_string(stage.state())},
          {"state_age_seconds", round_to_ms(now - stage.life.since())},
          {"cause", text(stage.life.cause().what)},
          {"what_to_do", text(stage.life.cause().remedy)},
          {"doing", text_json(stage.doing)},
          {"last_error", text(stage.last_error)},
          {"lag", optional_json(stage.lag())},
          {"held_back_by", holders_json(stage)},
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

std::string describe_lag(const std::vector<StageStatus>& stages) {
  std::int64_t lag = 0;
  bool is_known = false;
  for (const StageStatus& stage : stages) {
    if (stage.positions.empty()) {
      continue;  // of what it does not hold, others know
    }
    const auto of_stage = stage.lag();
    if (!of_stage) {
      return "lag unknown";
    }
    lag += *of_stage;
    is_known = true;
  }
  return is_known ? fmt::format("{} records behind", lag) : "lag unknown";
}

Json others_json(const std::vector<engine::OtherWorker>& others) {
  Json json = Json::array();
  for (const engine::OtherWorker& other : others) {
    json.push_back({{"worker", other.worker}, {"group", other.group_id}, {"where", other.where}});
  }
  return json;
}

Json strangers_json(const std::vector<engine::OtherWorker>& strangers) {
  Json json = Json::array();
  for (const engine::OtherWorker& stranger : strangers) {
    json.push_back({{"client", stranger.worker},
                    {"group", stranger.group_id},
                    {"where", stranger.where},
                    {"cause", engine::kStrangersCause},
                    {"what_to_do", engine::kStrangersRemedy}});
  }
  return json;
}

void add_strangers(Families& families, const engine::Plan& plan,
                   const std::vector<engine::OtherWorker>& strangers) {
  std::map<std::string, double> counts;
  for (const engine::Stage& stage : plan.stages) {
    counts[stage.group_id] = 0;
  }
  for (const engine::OtherWorker& stranger : strangers) {
    ++counts[stranger.group_id];
  }
  auto& family =
      families.gauge("onceflow_group_strangers",
                     "Members of the group that are no workers: what they hold is not processed");
  for (const auto& [group, count] : counts) {
    family.add({{"pipeline", plan.pipeline}, {"group", group}}, count);
  }
}

// One line for whoever looks in passing.
std::string summarize(const std::vector<StageStatus>& stages, std::size_t stranger_count,
                      const AuditView* audit, MonotonicTime now) {
  std::size_t running_count = 0;
  std::string others;
  for (const StageStatus& stage : stages) {
    if (stage.state() == StageState::kRunning) {
      ++running_count;
    } else {
      others += fmt::format(", {} is {}", stage.stage, engine::to_string(stage.state()));
    }
  }
  std::string text = running_count == 0 ? "no stage is running" + others
                                        : fmt::format("{} of {} stages running{}", running_count,
                                                      stages.size(), others);
  text += ", " + describe_lag(stages);
  if (stranger_count > 0) {
    text +=
        fmt::format("; {} of its groups {}",
                    stranger_count == 1 ? "1 member" : fmt::format("{} members", stranger_count),
                    stranger_count == 1 ? "is no worker" : "are no workers");
  }
  if (audit == nullptr) {
    return text + "; no audit runs";
  }
  const audit::AuditWatch& watch = audit->watch;
  if (watch.state() == audit::AuditState::kFailed) {
    return text + "; the audit cannot judge: " + watch.reason();
  }
  if (!watch.verdict()) {
    return text + "; the first audit is under way";
  }
  return text + fmt::format("; audit {:.0f} s ago: {}", to_seconds(now - watch.verdict()->ended),
                            audit::verdict(watch.verdict()->report));
}

// A member without partitions does all that there is for it to do.
bool does_its_work(const StageStatus& stage) {
  return stage.state() == StageState::kRunning || stage.state() == StageState::kHeldBack ||
         (stage.state() == StageState::kWaitingForPartitions && stage.is_standby);
}

}  // namespace

WorkerView view_of(const engine::Worker& worker, const RunningAudit* audit, io::EventLoop& loop) {
  worker.refresh_statuses();
  WorkerView view{.at = loop.now(),
                  .stages = {},
                  .others = worker.others(),
                  .strangers = worker.strangers(),
                  .audit = {},
                  .turns = turns_of(loop)};
  for (const StageStatus* stage : worker.statuses()) {
    view.stages.push_back(*stage);
  }
  if (audit != nullptr) {
    view.audit = audit->view();
  }
  return view;
}

WorkerStatusPages::WorkerStatusPages(const pipeline::PlannedPipeline& planned, std::string named,
                                     io::Scheduler& scheduler, AskWorker ask)
    : planned_(planned),
      named_(std::move(named)),
      scheduler_(scheduler),
      refresh_(scheduler,
               [this, ask = std::move(ask)] {
                 ask([this, alive = alive_](WorkerView view) {
                   if (*alive) {
                     view_ = std::move(view);
                     refresh_.answered();
                   }
                 });
               }),
      started_(scheduler.now()) {}

WorkerStatusPages::~WorkerStatusPages() { *alive_ = false; }

console::Health WorkerStatusPages::health() const {
  console::Health health{.is_alive = true, .is_ready = true, .text = {}};
  for (const StageStatus& stage : view_->stages) {
    health.is_alive = health.is_alive && stage.state() != StageState::kFailed;
    health.is_ready = health.is_ready && does_its_work(stage);
    const std::string why = with_file_named(stage.life.cause().what, named_, tables_of(planned_));
    health.text += fmt::format("{}: {}{}\n", stage.stage, engine::to_string(stage.state()),
                               why.empty() ? "" : ": " + why);
  }
  return health;
}

StageRates WorkerStatusPages::rates_of(const StageStatus& stage) {
  RateWindows& windows = rates_[stage.stage];
  return {.in = windows.in.add(view_->at, stage.records_in, started_),
          .out = windows.out.add(view_->at, stage.records_out, started_),
          .commits = windows.commits.add(view_->at, stage.commits, started_)};
}

void WorkerStatusPages::add_metrics(Families& families) const {
  for (const StageStatus& stage : view_->stages) {
    add_stage(families, planned_.plan.pipeline, stage, view_->at);
  }
  add_strangers(families, planned_.plan, view_->strangers);
  add_guarantees(families, planned_.report);
  add_audit(families, planned_.plan.pipeline, view_->audit ? &*view_->audit : nullptr);
  families.gauge("onceflow_uptime_seconds", "Since this worker started")
      .add({}, to_seconds(view_->at - started_));
  add_loop(families, "worker", view_->turns);
  add_status_age(families, "worker", scheduler_.now() - view_->at);
}

std::string WorkerStatusPages::json(const std::optional<std::string>& embedded_log) {
  const MonotonicTime now = view_->at;
  const AuditView* const audit = view_->audit ? &*view_->audit : nullptr;
  const std::vector<StageStatus>& stages = view_->stages;
  Json json = {{"summary", summarize(stages, view_->strangers.size(), audit, now)},
               {"pipeline", planned_.plan.pipeline},
               {"worker", stages.empty() ? "" : stages.front().worker},
               {"guarantee", pipeline::to_string(planned_.report.guarantee)},
               {"workers_with_another_definition", others_json(view_->others)},
               {"strangers_in_its_groups", strangers_json(view_->strangers)},
               {"uptime_seconds", round_to_ms(now - started_)},
               {"status_age_seconds", round_to_ms(scheduler_.now() - now)},
               {"loop", Json::parse(loop_json(view_->turns))},
               {"audit", Json::parse(audit_json(audit, now))},
               {"stages", Json::array()}};
  for (const StageStatus& stage : stages) {
    json["stages"].push_back(stage_json(stage, rates_of(stage), named_, tables_of(planned_), now));
  }
  if (embedded_log) {
    json["broker"] = Json::parse(*embedded_log);
  }
  return lay_out(json.dump(-1, ' ', false, Json::error_handler_t::replace));
}

}  // namespace onceflow::app
