// PipelineWorkload: the whole line: a feeder, the broker, two workers and a database double, each a
// process that may die at any moment. Two pipelines, each from a pipeline file that the seed draws:
// one takes records to a table one by one, one aggregates by key over a repartition topic and a
// changelog into another table. Their documents come from the borders of values.
//
// Meanwhile operators are at work: they add partitions, restore a backup of the database, change a
// file and change it back. In the end model and audit judge, and must agree; then comes an ending
// (docs/simulator.md).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "broker/broker_options.h"
#include "client/cluster.h"
#include "sim/pipelines/input_feeder.h"
#include "sim/pipelines/judges.h"
#include "sim/pipelines/pipeline_workers.h"
#include "sim/workloads/workload.h"

namespace onceflow::sim {

class PipelineWorkload : public Workload {
 public:
  enum class Length : std::uint8_t { kLong, kShort };
  explicit PipelineWorkload(Findings& findings, Length length = Length::kLong)
      : findings_(findings), length_(length) {}
  ~PipelineWorkload() override;

  void start(SimWorld& world) override;
  bool has_done_enough() const override { return feeder_is_done_ && (is_short() || is_complete()); }
  void settle() override;
  bool is_at_rest() const override;
  void check_end() override;

 private:
  Task<void> feed(SimProcess& process);
  Task<void> wait_until_begun(SimProcess& process);
  /// What operators do, by the number of records fed so far.
  void draw_operations(std::int64_t record_count);
  using Operation = Task<void> (PipelineWorkload::*)(SimProcess&, std::shared_ptr<client::Cluster>);
  Task<void> add_partitions(SimProcess& process, std::shared_ptr<client::Cluster> cluster);
  Task<void> keep_backup(SimProcess& process, std::shared_ptr<client::Cluster> cluster);
  Task<void> restore_backup(SimProcess& process, std::shared_ptr<client::Cluster> cluster);
  Task<void> add_column(SimProcess& process, std::shared_ptr<client::Cluster> cluster);
  Task<void> stop_worker(SimProcess& process, std::shared_ptr<client::Cluster> cluster);
  Task<void> change_files(SimProcess& process, std::shared_ptr<client::Cluster> cluster);
  Task<void> change_files_back(SimProcess& process, std::shared_ptr<client::Cluster> cluster);
  Task<void> operate(SimProcess& process, std::shared_ptr<client::Cluster> cluster,
                     std::int64_t up_to);
  bool is_short() const { return length_ == Length::kShort; }
  bool is_complete() const;
  std::vector<Judged> judged() const;

  Findings& findings_;
  const Length length_;
  SimWorld* world_ = nullptr;
  std::unique_ptr<SimRandom> random_;
  std::unique_ptr<SimDatabase> database_;
  std::vector<DrawnPipeline> pipelines_;
  InputTopic input_;
  broker::BrokerOptions broker_options_;
  std::unique_ptr<InputFeeder> feeder_;
  std::unique_ptr<PipelineWorkers> workers_;
  std::multimap<std::int64_t, Operation> operations_;
  SimDatabase::Image backup_;
  DiskImage::Snapshot log_backup_;
  bool feeder_is_done_ = false;
  bool is_settling_ = false;
  MonotonicTime rest_deadline_{};
  mutable MonotonicTime next_look_{};
};

/// The same with few records and no operators: most of the run is its ending.
class EndingsWorkload final : public PipelineWorkload {
 public:
  explicit EndingsWorkload(Findings& findings) : PipelineWorkload(findings, Length::kShort) {}
};

}  // namespace onceflow::sim
