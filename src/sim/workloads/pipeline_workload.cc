#include "sim/workloads/pipeline_workload.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <set>

#include "client/cluster.h"
#include "client/partitioner.h"
#include "client/producer.h"
#include "pipeline/planner.h"
#include "sim/audit_node.h"
#include "sim/tampering.h"
#include "sim/workloads/broker_node.h"

namespace onceflow::sim {

namespace {

constexpr std::int64_t kRecordCount = 400;
constexpr std::int64_t kPickEvery = 3;
constexpr std::int64_t kKeyCount = 7;
constexpr std::int32_t kPartitionCount = 3;
constexpr Duration kRestPatience = seconds(300);

constexpr std::string_view kPickFile = R"yaml(
name: pick
source: { kafka: { topics: [numbers], group.id: pick } }
steps:
  - id: third
    where: "$.n % 3 = 0"
sinks:
  - sqlite: { file: unused, table: picked, mode: append,
              columns: { n: { value: "$.n", type: integer } } }
)yaml";

constexpr std::string_view kTotalFile = R"yaml(
name: total
source: { kafka: { topics: [numbers], group.id: total } }
steps:
  - id: per-key
    key: "$.k"
    aggregate: { seen: count(*), sum: { value: "sum($.n)", type: integer } }
sinks:
  - kafka: { topic: totals }
  - sqlite: { file: unused, table: totals, mode: upsert }
)yaml";

std::string key_of(std::int64_t number) { return fmt::format("k{}", number % kKeyCount); }

pipeline::PlannedPipeline plan(std::string_view text) {
  auto planned =
      pipeline::plan_file("simulated.yaml", text, [](const std::string&) { return std::nullopt; });
  CHECK(planned.has_value());
  return std::move(*planned);
}

std::int64_t integer_of(const StoredValue& value) {
  const auto* integer = std::get_if<std::int64_t>(&value);
  return integer != nullptr ? *integer : -1;
}

}  // namespace

PipelineWorkload::~PipelineWorkload() = default;

void PipelineWorkload::start(SimWorld& world) {
  world_ = &world;
  database_ = std::make_unique<SimDatabase>(world);
  database_->on_stale_commit([this](const std::string& text) { findings_.report("SNK-1", text); });
  world.add_node({.name = "broker", .boot = [this](SimProcess& process) {
                    boot_broker(process, simulated_broker_options(kPartitionCount), findings_);
                  }});
  world.add_node({.name = "feeder",
                  .boot = [this](SimProcess& process) { boot_feeder(process); },
                  .suffers_faults = false});
  for (const char* name : {"worker-1", "worker-2"}) {
    world.add_node({.name = name, .boot = [this](SimProcess& process) { boot_worker(process); }});
  }
}

void PipelineWorkload::boot_feeder(SimProcess& process) {
  process.scheduler().spawn(feed(process));
}

Task<void> PipelineWorkload::feed(SimProcess& process) {
  SimRandom random(world_->random().next());
  auto cluster = client::Cluster::create(process.environment(), simulated_client_options("feeder"));
  client::Producer producer(
      cluster, {.linger = milliseconds(2), .delivery_timeout = std::chrono::hours(10)});
  const MonotonicTime never = process.scheduler().now() + std::chrono::hours(10);
  const auto topic = co_await cluster->topic("numbers", never);
  CHECK(topic.has_value());
  for (std::int64_t number = 0; number < kRecordCount && !is_settling_; ++number) {
    const std::string key = key_of(number);
    const std::string value = fmt::format(R"({{"n":{},"k":"{}"}})", number, key);
    const PartitionIndex partition(
        static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(kPartitionCount))));
    protocol::NewRecord record;
    record.timestamp_ms = process.scheduler().wall_now().ms;
    record.value = as_bytes(value);
    CHECK(producer.append(producer.slot({"numbers", partition}), record).has_value());
    Totals& totals = expected_totals_[key];
    ++totals.count;
    totals.sum += number;
    if (random.below(4) == 0) {
      co_await process.scheduler().sleep_for(random.between(Duration(0), milliseconds(200)));
    }
    ++fed_count_;
  }
  const Status flushed = co_await producer.flush(never);
  if (!flushed) {
    findings_.report("PRD-1", "an idempotent producer gave up: " + flushed.error().text);
  }
  feeder_is_done_ = true;
  cluster->close();
}

struct PipelineWorkload::WorkerLife {
  pipeline::PlannedPipeline planned;
  std::unique_ptr<engine::Worker> worker;
};

void PipelineWorkload::boot_worker(SimProcess& process) {
  for (const std::string_view file : {kPickFile, kTotalFile}) {
    auto& life = process.make<WorkerLife>(WorkerLife{plan(file), nullptr});
    for (engine::Stage& stage : life.planned.plan.stages) {
      if (auto* sink = std::get_if<engine::SinkOutput>(&stage.output)) {
        sink->make_sink = [this, &process, table = sink->table](
                              io::Environment) -> Result<std::unique_ptr<connectors::Sink>> {
          return std::make_unique<SimSink>(process, *database_, table);
        };
      }
    }
    engine::WorkerOptions options;
    options.client = simulated_client_options(process.name());
    options.stage.worker = process.name();
    options.stage.call_timeout = seconds(5);
    options.stage.transaction_timeout = seconds(5);
    options.stage.group.session_timeout = seconds(6);
    options.stage.group.heartbeat_interval = milliseconds(500);
    options.stage.group.rebalance_timeout = seconds(5);
    life.worker = std::make_unique<engine::Worker>(process.environment(), life.planned.plan,
                                                   std::move(options));
    process.scheduler().spawn(
        [](SimProcess& dying, engine::Worker& worker, Findings& findings) -> Task<void> {
          const Status ended = co_await worker.run();
          if (!ended) {
            findings.report("STG-1", "a worker gave up for good: " + ended.error().text);
            dying.exit(ended.error().text);
          }
        }(process, *life.worker, findings_));
  }
}

bool PipelineWorkload::has_done_enough() const {
  return feeder_is_done_ && database_->table("picked").appended.size() >= expected_row_count();
}

std::size_t PipelineWorkload::expected_row_count() const {
  return static_cast<std::size_t>((fed_count_ + kPickEvery - 1) / kPickEvery);
}

std::map<std::string, PipelineWorkload::Totals> PipelineWorkload::totals_of(
    const SimDatabase::Image& image) {
  std::map<std::string, Totals> totals;
  const auto table = image.find("totals");
  if (table == image.end()) {
    return totals;
  }
  for (const auto& [key, row] : table->second.by_key) {
    totals[std::get<std::string>(row.values[0])] = {integer_of(row.values[1]),
                                                    integer_of(row.values[2])};
  }
  return totals;
}

void PipelineWorkload::settle() {
  is_settling_ = true;
  rest_deadline_ = world_->now() + kRestPatience;
}

// Complete, or beyond: a table that has too much is at rest too, and wrong. So is one that still
// lacks something long after the last fault: check_end() then says what.
bool PipelineWorkload::is_at_rest() const {
  if (feeder_is_done_ && world_->now() >= rest_deadline_) {
    return true;
  }
  if (!feeder_is_done_ || database_->table("picked").appended.size() < expected_row_count()) {
    return false;
  }
  std::int64_t total_count = 0;
  for (const auto& [key, totals] : totals_of(database_->image())) {
    total_count += totals.count;
  }
  return total_count >= fed_count_;
}

void PipelineWorkload::check_end() {
  // Late duplicates, if there are any, get time to show.
  world_->run_for(seconds(30));
  SimDatabase::Image image = database_->image();
  agree(image, judge(image));
  if (findings_.empty()) {
    check_judges(std::move(image));
  }
}

// What the model finds broken in the tables.
std::vector<Finding> PipelineWorkload::judge(const SimDatabase::Image& image) const {
  std::vector<Finding> found = judge_rows(image);
  std::ranges::copy(judge_totals(image), std::back_inserter(found));
  return found;
}

std::vector<Finding> PipelineWorkload::judge_rows(const SimDatabase::Image& image) const {
  std::vector<Finding> found;
  std::map<StoredValue, int> seen;
  for (const SentCommit::Row& row : image.at("picked").appended) {
    ++seen[row.values.front()];
  }
  for (std::int64_t number = 0; number < fed_count_; number += kPickEvery) {
    if (const int count = seen[number]; count != 1) {
      found.push_back({"STG-1", fmt::format("record {} is {} times in the table", number, count)});
    }
    seen.erase(number);
  }
  if (!seen.empty()) {
    found.push_back({"STG-1", fmt::format("record {} does not belong into the table",
                                          integer_of(seen.begin()->first))});
  }
  return found;
}

std::vector<Finding> PipelineWorkload::judge_totals(const SimDatabase::Image& image) const {
  std::vector<Finding> found;
  std::map<std::string, Totals> stored = totals_of(image);
  for (const auto& [key, expected] : expected_totals_) {
    if (stored[key] != expected) {
      found.push_back({"STG-2", fmt::format("key {}: count {} and sum {} are stored, the inputs "
                                            "fold to {} and {}",
                                            key, stored[key].count, stored[key].sum, expected.count,
                                            expected.sum)});
    }
  }
  return found;
}

// The product's own auditor over the same tables. It and the model must come to the same verdict.
void PipelineWorkload::agree(const SimDatabase::Image& image, const std::vector<Finding>& model) {
  for (const Finding& finding : model) {
    findings_.report(finding.invariant, finding.text);
  }
  const std::string audited = audit(image);
  if (model.empty() && !audited.empty()) {
    findings_.report("AUD-1", "the audit finds what the model does not: " + audited);
  } else if (!model.empty() && audited.empty()) {
    findings_.report("AUD-1", "the audit says that all is clean");
  }
}

// The first finding of each pipeline; empty: clean.
std::string PipelineWorkload::audit(const SimDatabase::Image& image) {
  std::string found;
  for (const std::string_view file : {kPickFile, kTotalFile}) {
    const Result<audit::AuditReport> report = audit_in_world(*world_, plan(file), image);
    if (!report) {
      found += "it cannot judge: " + report.error().text + "; ";
    } else if (!report->is_clean()) {
      found += report->findings.kept().front().text + "; ";
    }
  }
  return found;
}

// Clean is only worth something from judges who would have seen it: one row is lost, doubled or
// altered, and both must say so.
void PipelineWorkload::check_judges(SimDatabase::Image image) {
  const std::string done = tamper(image, world_->random());
  if (done.empty()) {
    return;
  }
  if (judge(image).empty()) {
    findings_.report("AUD-1", "the model does not see that " + done);
  }
  if (audit(image).empty()) {
    findings_.report("AUD-1", "the audit does not see that " + done);
  }
}

}  // namespace onceflow::sim
