#include "sim/workloads/pipeline_workload.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "sim/pipelines/endings.h"
#include "sim/pipelines/own_topics.h"
#include "sim/workloads/broker_node.h"

namespace onceflow::sim {

namespace {

constexpr std::int32_t kPartitionCount = 3;
constexpr std::int32_t kAddedPartitionsMax = 2;
constexpr std::int32_t kSegmentBytes = 4000;
constexpr std::uint64_t kRecordsMin = 150;
constexpr std::uint64_t kRecordsMax = 400;
/// Of a run that is made for its ending: all that a pipeline keeps is there, and little of it.
constexpr std::uint64_t kFewRecordsMin = 20;
constexpr std::uint64_t kFewRecordsMax = 60;
constexpr std::uint64_t kEarlyRecordsMax = 30;  ///< before a pipeline that begins at the end
constexpr std::uint64_t kOperationOneIn = 3;    ///< runs
constexpr Duration kStateWaitMax = seconds(20);
constexpr Duration kRefusalWaitMax = seconds(20);
constexpr Duration kNever = std::chrono::hours(10);
constexpr Duration kLateMax = seconds(30);
constexpr Duration kFewLateMax = seconds(5);
constexpr Duration kRestPatience = seconds(300);
constexpr Duration kLookEvery = milliseconds(200);

}  // namespace

PipelineWorkload::~PipelineWorkload() = default;

void PipelineWorkload::start(SimWorld& world) {
  world_ = &world;
  random_ = std::make_unique<SimRandom>(world.random().fork("pipelines"));
  pipelines_.push_back(DrawnPipeline::rows(*random_));
  const auto tombstones = pipelines_.front().takes_tombstones() ? DocumentSource::Tombstones::kSome
                                                                : DocumentSource::Tombstones::kNone;
  pipelines_.push_back(DrawnPipeline::totals(*random_, tombstones));
  for (const DrawnPipeline& pipeline : pipelines_) {
    world.note("world", pipeline.file());
  }
  feeder_ = std::make_unique<InputFeeder>(input_, *random_,
                                          pipelines_.front().keeps_last_of_key()
                                              ? InputFeeder::Placing::kByKey
                                              : InputFeeder::Placing::kAnywhere,
                                          tombstones);
  database_ = std::make_unique<SimDatabase>(world);
  database_->on_stale_commit([this](const std::string& text) { findings_.report("SNK-1", text); });
  workers_ = std::make_unique<PipelineWorkers>(pipelines_, *database_, *random_, findings_);
  broker_options_ = simulated_broker_options(kPartitionCount);
  broker_options_.log.topic_defaults.segment_bytes = kSegmentBytes;
  world.add_node({.name = "broker", .boot = [this](SimProcess& process) {
                    boot_broker(process, broker_options_, findings_);
                  }});
  world.add_node({.name = "feeder",
                  .boot = [this](SimProcess& process) { process.scheduler().spawn(feed(process)); },
                  .suffers_faults = false});
}

Task<void> PipelineWorkload::feed(SimProcess& process) {
  auto cluster = client::Cluster::create(process.environment(), simulated_client_options("feeder"));
  client::Producer producer(
      cluster, {.linger = milliseconds(2), .delivery_timeout = std::chrono::hours(10)});
  const MonotonicTime never = process.scheduler().now() + std::chrono::hours(10);
  const auto topic = co_await cluster->topic(kInputTopic, never);
  CHECK(topic.has_value());
  feeder_->know_partitions(static_cast<std::size_t>(topic->partition_count()));
  const auto count =
      static_cast<std::int64_t>(is_short() ? random_->between(kFewRecordsMin, kFewRecordsMax)
                                           : random_->between(kRecordsMin, kRecordsMax));
  if (pipelines_.front().begins_at_latest()) {
    for (std::uint64_t early = random_->below(kEarlyRecordsMax); early > 0; --early) {
      feeder_->feed(process, producer, feeder_->documents().draw(feeder_->number()));
    }
    CHECK((co_await producer.flush(never)).has_value());
  }
  workers_->start();
  co_await wait_until_begun(process);
  draw_operations(count);
  while (feeder_->number() < count && !is_settling_) {
    feeder_->feed(process, producer, feeder_->documents().draw(feeder_->number()));
    co_await operate(process, cluster, feeder_->number());
    if (random_->below(4) == 0) {
      co_await process.scheduler().sleep_for(random_->between(Duration(0), milliseconds(200)));
    }
  }
  // What was begun is brought to its end.
  co_await operate(process, cluster, std::numeric_limits<std::int64_t>::max());
  const Status flushed = co_await producer.flush(never);
  if (!flushed) {
    findings_.report("PRD-1", "an idempotent producer gave up: " + flushed.error().text);
  }
  feeder_is_done_ = true;
  cluster->close();
}

// Where a pipeline begins at the end, what is written once it is seen to run is its input. Now and
// then it dies right there, before it has committed anything.
Task<void> PipelineWorkload::wait_until_begun(SimProcess& process) {
  const DrawnPipeline& pipeline = pipelines_.front();
  if (!pipeline.begins_at_latest()) {
    co_return;
  }
  for (std::size_t index = 0; index < input_.partitions.size(); ++index) {
    const PartitionIndex partition(static_cast<std::int32_t>(index));
    while (!workers_->has_begun(pipeline, {kInputTopic, partition})) {
      co_await process.scheduler().sleep_for(milliseconds(20));
    }
    input_.partitions[index].begins_at_most = input_.partitions[index].documents.size();
  }
  if (random_->coin()) {
    workers_->kill_all("dies as soon as it runs");
  }
}

void PipelineWorkload::draw_operations(std::int64_t record_count) {
  const auto draw_number = [&](std::int64_t from) {
    return static_cast<std::int64_t>(random_->between(static_cast<std::uint64_t>(from),
                                                      static_cast<std::uint64_t>(record_count)));
  };
  const auto is_drawn = [&] { return !is_short() && random_->below(kOperationOneIn) == 0; };
  if (is_drawn()) {
    operations_.emplace(draw_number(1), &PipelineWorkload::add_partitions);
  }
  const std::int64_t kept_at = draw_number(1);
  operations_.emplace(kept_at, &PipelineWorkload::keep_backup);
  if (is_drawn()) {
    operations_.emplace(draw_number(kept_at), &PipelineWorkload::restore_backup);
  }
  if (is_drawn()) {
    operations_.emplace(draw_number(1), &PipelineWorkload::stop_worker);
  }
  if (is_drawn()) {
    operations_.emplace(draw_number(1), &PipelineWorkload::add_column);
  }
  if (is_drawn()) {
    const std::int64_t changed_at = draw_number(1);
    operations_.emplace(changed_at, &PipelineWorkload::change_files);
    operations_.emplace(draw_number(changed_at), &PipelineWorkload::change_files_back);
  }
}

Task<void> PipelineWorkload::operate(SimProcess& process, std::shared_ptr<client::Cluster> cluster,
                                     std::int64_t up_to) {
  while (!operations_.empty() && operations_.begin()->first <= up_to) {
    const Operation operation = operations_.extract(operations_.begin()).mapped();
    co_await (this->*operation)(process, cluster);
  }
}

Task<void> PipelineWorkload::keep_backup(SimProcess&, std::shared_ptr<client::Cluster>) {
  backup_ = database_->image();
  log_backup_ = world_->node("broker").machine().disk.snapshot();
  co_return;
}

Task<void> PipelineWorkload::restore_backup(SimProcess&, std::shared_ptr<client::Cluster>) {
  const DrawnPipeline& pipeline = pipelines_[random_->below(pipelines_.size())];
  world_->note("world", "a backup of table " + pipeline.table() + " is restored");
  database_->restore(pipeline.table(), backup_);
  co_return;
}

Task<void> PipelineWorkload::add_column(SimProcess&, std::shared_ptr<client::Cluster>) {
  database_->add_column(pipelines_[random_->below(pipelines_.size())].table());
  co_return;
}

Task<void> PipelineWorkload::stop_worker(SimProcess&, std::shared_ptr<client::Cluster>) {
  workers_->stop_one(*random_);
  co_return;
}

// Before there is a state of the files as drawn, the changed ones would be the first.
Task<void> PipelineWorkload::change_files(SimProcess& process, std::shared_ptr<client::Cluster>) {
  const auto has_state = [this] {
    return !database_->table(pipelines_.back().table()).by_key.empty();
  };
  const MonotonicTime give_up_at = process.scheduler().now() + kStateWaitMax;
  while (!has_state() && process.scheduler().now() < give_up_at) {
    co_await process.scheduler().sleep_for(milliseconds(100));
  }
  if (has_state()) {
    workers_->run_changed_files(true);
  }
}

Task<void> PipelineWorkload::change_files_back(SimProcess& process,
                                               std::shared_ptr<client::Cluster>) {
  if (!workers_->runs_changed_files()) {
    co_return;
  }
  const MonotonicTime give_up_at = process.scheduler().now() + kRefusalWaitMax;
  while (!workers_->has_refused_change() && process.scheduler().now() < give_up_at) {
    co_await process.scheduler().sleep_for(milliseconds(100));
  }
  workers_->run_changed_files(false);
}

Task<void> PipelineWorkload::add_partitions(SimProcess& process,
                                            std::shared_ptr<client::Cluster> cluster) {
  const auto wanted = static_cast<std::int32_t>(
      input_.partitions.size() + random_->between(1, std::uint64_t{kAddedPartitionsMax}));
  world_->note("world", fmt::format("topic {} gets {} partitions", kInputTopic, wanted));
  co_await grow_topic(cluster, kInputTopic, wanted, process.scheduler().now() + kNever);
  feeder_->know_partitions(static_cast<std::size_t>(wanted));
}

// -------------------------------------------------------------------------------------------------
// The end

void PipelineWorkload::settle() {
  is_settling_ = true;
  rest_deadline_ = world_->now() + kRestPatience;
}

// Complete, or not complete so long after the last fault: check_end() then says what is wrong.
bool PipelineWorkload::is_at_rest() const {
  return feeder_is_done_ && (world_->now() >= rest_deadline_ || is_complete());
}

// Asked after every event, so it does not look each time.
bool PipelineWorkload::is_complete() const {
  if (world_->now() < next_look_) {
    return false;
  }
  next_look_ = world_->now() + kLookEvery;
  return std::ranges::all_of(pipelines_, [&](const DrawnPipeline& pipeline) {
    return pipeline.judge(database_->image(), input_).empty();
  });
}

std::vector<Judged> PipelineWorkload::judged() const {
  std::vector<Judged> all;
  all.reserve(pipelines_.size());
  for (const DrawnPipeline& pipeline : pipelines_) {
    all.push_back({pipeline, input_});
  }
  return all;
}

void PipelineWorkload::check_end() {
  // Late duplicates, if there are any, get time to show.
  world_->run_for(is_short() ? kFewLateMax : kLateMax);
  judge_by_both(*world_, database_->image(), judged(), findings_);
  if (findings_.empty() && !is_short()) {
    judge_the_judges(*world_, database_->image(), judged(), findings_);
  }
  if (findings_.empty()) {
    end_run({.world = *world_,
             .random = *random_,
             .database = *database_,
             .pipelines = pipelines_,
             .workers = *workers_,
             .feeder = *feeder_,
             .input = input_,
             .backup = backup_,
             .shorten_retention =
                 [this] {
                   broker_options_.log.topic_defaults.retention_bytes = 0;
                   broker_options_.log.retention_check_interval = seconds(1);
                   world_->kill(world_->node("broker"), "gets a short retention");
                 },
             .restore_log =
                 [this] {
                   SimMachine& machine = world_->node("broker").machine();
                   world_->crash_machine(machine, "gets an older copy of its disk");
                   machine.disk.restore(log_backup_);
                 },
             .findings = findings_});
  }
}

}  // namespace onceflow::sim
