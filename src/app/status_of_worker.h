// WorkerStatusPage: what the stages of a worker tell, as metrics and as JSON. On the worker's
// thread.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "app/rate_window.h"
#include "app/running_audit.h"
#include "console/status_server.h"
#include "engine/worker.h"
#include "io/os/event_loop.h"
#include "pipeline/planner.h"

namespace onceflow::app {

/// Per second.
struct StageRates {
  double in = 0;
  double out = 0;
  double commits = 0;
};

class WorkerStatusPage {
 public:
  /// All three must outlive the page. `named` is the pipeline file as it is typed again, with its
  /// flags.
  WorkerStatusPage(const pipeline::PlannedPipeline& planned, const engine::Worker& worker,
                   io::EventLoop& loop, std::string named);

  /// `audit` may be null; `embedded_log` is what the broker in this process tells, if there is one.
  console::StatusPage read(const RunningAudit* audit,
                           std::optional<console::StatusPage> embedded_log);
  /// docs/operations.md says what is alive and what is ready.
  console::Health health() const;

 private:
  struct RateWindows {
    RateWindow in;
    RateWindow out;
    RateWindow commits;
  };
  StageRates rates_of(const engine::StageStatus& stage, MonotonicTime now);

  const pipeline::PlannedPipeline& planned_;
  const engine::Worker& worker_;
  io::EventLoop& loop_;
  const std::string named_;
  const MonotonicTime started_;
  std::map<std::string, RateWindows> rates_;
};

}  // namespace onceflow::app
