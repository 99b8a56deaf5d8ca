// RunningAudit: the audit of `onceflow run`: judges the pipeline again and again, on a thread and a
// loop of its own, while the worker beside it goes on. It reads as any other audit does, over the
// Kafka protocol and with database connections of its own, and meets the worker nowhere.
//
// Each audit reads the whole history. So that this stays cheap the thread runs at a low priority,
// asks for small fetches, and rests for at least nine times as long as the last audit took.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "audit/audit_watch.h"
#include "audit/subject.h"
#include "base/log_event.h"
#include "io/network.h"
#include "io/os/loop_thread.h"

namespace onceflow::app {

struct RunningAuditOptions {
  std::vector<io::Endpoint> bootstrap_servers;
  /// From the end of one audit to the beginning of the next.
  Duration interval{};
  audit::Strangers strangers = audit::Strangers::kRefused;
};

/// What is shown of it. A value.
struct AuditView {
  audit::AuditWatch watch;
  Duration interval{};
};

class RunningAudit {
 public:
  using Tell = std::function<void(LogLevel, const std::string&)>;
  /// Begins at once. `tell` is called on `owner` with what belongs into the log. Destroy it before
  /// `owner` and after `owner` has run its last callback.
  RunningAudit(audit::AuditSubject subject, RunningAuditOptions options, io::Scheduler& owner,
               Tell tell);
  /// Ends the audit that is under way: within the time that a database may take to accept a
  /// connection.
  ~RunningAudit();

  /// On the owner's thread.
  AuditView view() const { return {watch_, interval_}; }

 private:
  /// From the audit's thread: runs `what` on the owner's.
  void post(Callback<void()> what) { owner_.post_from_any_thread(std::move(what)); }
  class Content;

  io::Scheduler& owner_;
  Tell tell_;
  const Duration interval_;
  audit::AuditWatch watch_;
  /// The one thing that both threads see without a queue: an audit that reads a table blocks its
  /// loop, which could not hear otherwise that it is to end. Shared with that thread.
  std::shared_ptr<std::atomic<bool>> must_stop_ = std::make_shared<std::atomic<bool>>(false);
  io::LoopThread thread_;
};

}  // namespace onceflow::app
