// WorkerStatusPages: what the stages of a worker tell, as metrics and as JSON. On the watcher's
// thread: that of the console. The worker's loop is asked for a copy of what it knows (WorkerView)
// and for nothing else.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/rate_window.h"
#include "app/running_audit.h"
#include "app/status_parts.h"
#include "console/status_server.h"
#include "engine/worker.h"
#include "io/os/event_loop.h"
#include "io/refresh.h"
#include "pipeline/planner.h"

namespace onceflow::app {

/// What is shown of a worker, as of a moment of its loop. A value.
struct WorkerView {
  MonotonicTime at;
  std::vector<engine::StageStatus> stages;
  std::vector<engine::OtherWorker> others;
  std::vector<engine::OtherWorker> strangers;
  std::optional<AuditView> audit;
  LoopTurns turns;
};
/// On the worker's thread. `audit` may be null.
WorkerView view_of(const engine::Worker& worker, const RunningAudit* audit, io::EventLoop& loop);

/// Passes a question to view_of on the worker's thread; the answer arrives on the watcher's.
using AskWorker = std::function<void(std::function<void(WorkerView)>)>;

/// Per second.
struct StageRates {
  double in = 0;
  double out = 0;
  double commits = 0;
};

class WorkerStatusPages {
 public:
  /// `planned` must outlive the pages. `named` is the pipeline file as it is typed again, with its
  /// flags.
  WorkerStatusPages(const pipeline::PlannedPipeline& planned, std::string named,
                    io::Scheduler& scheduler, AskWorker ask);
  ~WorkerStatusPages();
  WorkerStatusPages(const WorkerStatusPages&) = delete;
  WorkerStatusPages& operator=(const WorkerStatusPages&) = delete;

  /// False: the worker does not answer; what follows is as of its last answer, if there was one.
  Task<bool> refresh() { return refresh_.refresh(kPatience); }
  bool has_answered() const { return view_.has_value(); }

  void add_metrics(Families& families) const;
  /// `embedded_log` is the JSON of the broker in this process, if there is one.
  std::string json(const std::optional<std::string>& embedded_log);
  /// docs/operations.md says what is alive and what is ready.
  console::Health health() const;

 private:
  struct RateWindows {
    RateWindow in;
    RateWindow out;
    RateWindow commits;
  };
  /// How long a page waits for a worker that does not answer.
  static constexpr Duration kPatience = seconds(5);

  StageRates rates_of(const engine::StageStatus& stage);

  const pipeline::PlannedPipeline& planned_;
  const std::string named_;
  io::Scheduler& scheduler_;
  io::Refresh refresh_;
  std::optional<WorkerView> view_;
  const MonotonicTime started_;
  std::map<std::string, RateWindows> rates_;
  /// False once this object has gone: answers may still come.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace onceflow::app
