#include "sim/pipelines/pipeline_workers.h"

#include <algorithm>
#include <iterator>
#include <variant>

#include "pipeline/definition.h"
#include "pipeline/definition_spelling.h"
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
    workers.lives_.push_back(this);
  }
  ~Life() { std::erase(workers.lives_, this); }
  Life(const Life&) = delete;
  Life& operator=(const Life&) = delete;

  PipelineWorkers& workers;
  SimProcess& process;
  const DrawnPipeline& pipeline;
  const bool is_changed;
  bool has_ended = false;
  bool ran_before_sleep = false;
  pipeline::PlannedPipeline planned;
  std::unique_ptr<engine::Worker> worker;
};

PipelineWorkers::PipelineWorkers(const std::vector<DrawnPipeline>& pipelines, SimDatabase& database,
                                 SimRandom& random, Findings& findings)
    : pipelines_(pipelines),
      database_(database),
      findings_(findings),
      are_static_members_(random.coin()),
      stay_at_stop_(random.coin()) {}

PipelineWorkers::~PipelineWorkers() = default;

void PipelineWorkers::start() {
  for (const char* name : kNames) {
    database_.world().add_node(
        {.name = name, .boot = [this](SimProcess& process) { boot(process); }});
  }
}

void PipelineWorkers::stop_one(SimRandom& random) {
  const char* name = kNames[random.below(std::size(kNames))];
  database_.world().note(name, "is asked to end");
  for (const DrawnPipeline& pipeline : pipelines_) {
    for (const Life* life : lives_) {
      if (&life->pipeline == &pipeline && life->process.name() == name &&
          life->process.is_running() && life->worker != nullptr) {
        life->worker->stop();
      }
    }
  }
}

void PipelineWorkers::kill_all(std::string_view reason) {
  for (const char* name : kNames) {
    if (sleeper_ == nullptr || sleeper_->name() != name) {
      database_.world().kill(database_.world().node(name), reason);
    }
  }
}

void PipelineWorkers::take_down() {
  is_down_ = true;
  kill_all("is taken down");
}

void PipelineWorkers::take_up() {
  is_down_ = false;
  refusals_.clear();
  kill_all("is taken up");
}

void PipelineWorkers::put_one_to_sleep(Duration duration, SimRandom& random) {
  SimWorld& world = database_.world();
  SimNode& node = world.node(kNames[random.below(std::size(kNames))]);
  const auto life = std::ranges::find_if(
      lives_, [&](const Life* each) { return each->process.name() == node.name(); });
  sleeper_ = life == lives_.end() ? nullptr : &(*life)->process;
  for (Life* each : lives_) {
    each->ran_before_sleep = &each->process == sleeper_ && is_running(*each);
  }
  is_down_ = true;
  world.pause(node, duration);
  kill_all("is taken down");
}

bool PipelineWorkers::sleeper_goes_on(const DrawnPipeline& pipeline) const {
  return std::ranges::any_of(lives_, [&](const Life* life) {
    return &life->pipeline == &pipeline && life->ran_before_sleep && is_running(*life);
  });
}

bool PipelineWorkers::is_running(const Life& life) {
  return !life.has_ended && life.worker != nullptr &&
         life.worker->statuses().front()->state() == engine::StageState::kRunning;
}

void PipelineWorkers::run_changed_files(bool changed) {
  check_changed_lives();
  runs_changed_files_ = changed;
  has_refused_change_ = false;
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
                                                   options_of(process.name(), life));
    process.scheduler().spawn(run(life));
  }
}

engine::WorkerOptions PipelineWorkers::options_of(const std::string& worker,
                                                  const Life& life) const {
  engine::WorkerOptions options = worker_options(worker);
  options.definition = pipeline::definition_of(life.planned);
  options.spelled_as = pipeline::spelled_as;
  if (are_static_members_) {
    options.stage.group.group_instance_id = life.pipeline.name() + "-" + worker;
    options.stage.at_stop = stay_at_stop_ ? engine::AtStop::kStay : engine::AtStop::kLeave;
  }
  options.stage.skips_deleted = skips_deleted_;
  return options;
}

Task<void> PipelineWorkers::run(Life& life) {
  const Status ended = co_await life.worker->run();
  life.has_ended = true;
  if (ended) {
    if (std::ranges::all_of(lives_, [&](const Life* other) {
          return &other->process != &life.process || other->has_ended;
        })) {
      life.process.exit("it has stopped");
    }
    co_return;
  }
  database_.world().note(life.process.name(), ended.error().text);
  if (life.is_changed) {
    has_refused_change_ = true;
    if (ended.error().text.find("the file was changed") == std::string::npos) {
      findings_.report("STG-2",
                       "a changed file is refused as something else: " + ended.error().text);
    }
  } else if (&life.process == sleeper_) {
    // It is right to stop; whether it had to, who judges knows.
  } else if (may_refuse_) {
    refusals_[life.pipeline.name()] = ended.error().text;
  } else {
    findings_.report("STG-1", "a worker gave up for good: " + ended.error().text);
  }
}

void PipelineWorkers::check_changed_lives() {
  for (const Life* life : lives_) {
    if (life->is_changed && life->worker != nullptr &&
        life->worker->statuses().front()->state() == engine::StageState::kRunning) {
      findings_.report("STG-2", life->process.name() + " runs a changed file of pipeline " +
                                    life->pipeline.name() + " on the state of another");
    }
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
