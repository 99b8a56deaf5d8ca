// WorkerStatusPage: what the stages of a worker tell, as metrics and as JSON. On the worker's
// thread.
#pragma once

#include <map>
#include <string>

#include "app/rate_window.h"
#include "console/status_server.h"
#include "engine/worker.h"
#include "io/clock.h"
#include "pipeline/planner.h"

namespace onceflow::app {

class WorkerStatusPage {
 public:
  /// All three must outlive the page.
  WorkerStatusPage(const pipeline::PlannedPipeline& planned, const engine::Worker& worker,
                   const io::Clock& clock);

  console::StatusPage read();

 private:
  struct Rates {
    RateWindow in;
    RateWindow out;
    RateWindow commits;
  };

  const pipeline::PlannedPipeline& planned_;
  const engine::Worker& worker_;
  const io::Clock& clock_;
  const MonotonicTime started_;
  std::map<std::string, Rates> rates_;
};

}  // namespace onceflow::app
