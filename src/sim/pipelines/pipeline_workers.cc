#include "sim/pipelines/pipeline_workers.h"

#include <algorithm>
#include <variant>

#include "sim/workloads/broker_node.h"

namespace onceflow::sim {

namespace {

constexpr const char* kNames[] = {"worker-1", "worker-2"};

engine::WorkerOptions worker_options(const std::string& name) {
  engine::WorkerOptions options;
  options.client = simulated_client_options(name);
  options.stage.worker = name;
  options.stage.call_timeout = seconds(5);
  options.stage.transaction_wait_max = seconds(4);
  options.stage.slice_length = Duration(0);
  options.stage.group.session_timeout = seconds(6);
  options.stage.group.heartbeat_interval = milliseconds(500);
  options.stage.group.rebalance_timeout = seconds(5);
  return options;
}

}  // namespace

struct PipelineWorkers::Life {
  Life(PipelineWorkers& of, SimProcess& in, const DrawnPipeline& runs, bool changed)
      : workers(of),
        process(in),
        pipeline(runs),
        is_changed(changed && !runs.changed_file().empty()),
        planned(DrawnPipeline::plan(is_changed ? runs.changed_file() : runs.file())) {
    workers.lives_.insert(this);
  }
  ~Life() { workers.lives_.erase(this); }
  Life(const Life&) = delete;
  Life& operator=(const Life&) = delete;

  PipelineWorkers& workers;
  SimProcess& process;
  const DrawnPipeline& pipeline;
  const bool is_changed;
  pipeline::PlannedPipeline planned;
  std::unique_ptr<engine::Worker> worker;
};

PipelineWorkers::PipelineWorkers(const std::vector<DrawnPipeline>& pipelines, SimDatabase& database,
                                 Findings& findings)
    : pipelines_(pipelines), database_(database), findings_(findings) {}

PipelineWorkers::~PipelineWorkers() = default;

void PipelineWorkers::start() {
  for (const char* name : kNames) {
    database_.world().add_node(
        {.name = name, .boot = [this](SimProcess& process) { boot(process); }});
  }
}

void PipelineWorkers::kill_all(std::string_view reason) {
  for (const char* name : kNames) {
    database_.world().kill(database_.world().node(name), reason);
  }
}

void PipelineWorkers::take_down() {
  is_down_ = true;
  kill_all("is taken down");
}

void PipelineWorkers::take_up() {
  is_down_ = false;
  kill_all("is taken up");
}

void PipelineWorkers::run_changed_files(bool changed) {
  runs_changed_files_ = changed;
  kill_all(changed ? "gets a changed file" : "gets its file back");
}

void PipelineWorkers::boot(SimProcess& process) {
  if (is_down_) {
    return;
  }
  for (const DrawnPipeline& pipeline : pipelines_) {
    auto& life = process.make<Life>(*this, process, pipeline, runs_changed_files_);
    for (engine::Stage& stage : life.planned.plan.stages) {
      if (auto* sink = std::get_if<engine::SinkOutput>(&stage.output)) {
        sink->make_sink = [this, &process, table = sink->table](
                              io::Environment) -> Result<std::unique_ptr<connectors::Sink>> {
          return std::make_unique<SimSink>(process, database_, table);
        };
      }
    }
    life.worker = std::make_unique<engine::Worker>(process.environment(), life.planned.plan,
                                                   worker_options(process.name()));
    process.scheduler().spawn(run(life));
  }
}

Task<void> PipelineWorkers::run(Life& life) {
  const Status ended = co_await life.worker->run();
  if (ended) {
    co_return;
  }
  database_.world().note(life.process.name(), ended.error().text);
  if (may_refuse_) {
    refusals_[life.pipeline.name()] = ended.error().text;
  } else if (!life.is_changed) {
    findings_.report("STG-1", "a worker gave up for good: " + ended.error().text);
  }
}

bool PipelineWorkers::has_begun(const DrawnPipeline& pipeline, const TopicPartition& source) const {
  return std::ranges::any_of(lives_, [&](const Life* life) {
    if (&life->pipeline != &pipeline || life->worker == nullptr) {
      return false;
    }
    const engine::StageStatus& status = *life->worker->statuses().front();
    return status.state() == engine::StageState::kRunning && status.positions.contains(source);
  });
}

std::string PipelineWorkers::refusal_of(const DrawnPipeline& pipeline) const {
  const auto place = refusals_.find(pipeline.name());
  return place == refusals_.end() ? std::string() : place->second;
}

}  // namespace onceflow::sim
