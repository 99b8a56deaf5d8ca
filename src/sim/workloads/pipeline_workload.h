// PipelineWorkload: the whole line: a feeder, the broker, two workers and a database double, each a
// process that may die at any moment. Two pipelines, from pipeline files: one picks records
// straight into a table, one aggregates by key over a repartition topic and a changelog into
// another table.
//
// The feeder is the world's memory of the input: it numbers its records, never dies, and its
// producer is idempotent, so what it was acknowledged is in the topic once.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/worker.h"
#include "sim/sim_database.h"
#include "sim/workloads/workload.h"

namespace onceflow::broker {
class Broker;
}

namespace onceflow::sim {

class PipelineWorkload final : public Workload {
 public:
  explicit PipelineWorkload(Findings& findings) : findings_(findings) {}
  ~PipelineWorkload() override;

  void start(SimWorld& world) override;
  bool has_done_enough() const override;
  void settle() override;
  bool is_at_rest() const override;
  void check_end() override;

 private:
  struct Totals {
    std::int64_t count = 0;
    std::int64_t sum = 0;
    friend bool operator==(const Totals&, const Totals&) = default;
  };
  /// A pipeline's plan for one life of a worker: its sinks are of that process.
  struct WorkerLife;

  void boot_feeder(SimProcess& process);
  void boot_worker(SimProcess& process);
  Task<void> feed(SimProcess& process);
  std::vector<Finding> judge(const SimDatabase::Image& image) const;
  std::vector<Finding> judge_rows(const SimDatabase::Image& image) const;
  std::vector<Finding> judge_totals(const SimDatabase::Image& image) const;
  void agree(const SimDatabase::Image& image, const std::vector<Finding>& model);
  std::string audit(const SimDatabase::Image& image);
  void check_judges(SimDatabase::Image image);
  std::size_t expected_row_count() const;
  static std::map<std::string, Totals> totals_of(const SimDatabase::Image& image);

  Findings& findings_;
  SimWorld* world_ = nullptr;
  std::unique_ptr<SimDatabase> database_;
  std::int64_t fed_count_ = 0;  ///< acknowledged, all of them
  bool feeder_is_done_ = false;
  bool is_settling_ = false;
  MonotonicTime rest_deadline_{};
  std::map<std::string, Totals> expected_totals_;
};

}  // namespace onceflow::sim
