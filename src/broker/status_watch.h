// StatusWatch: a broker's status, kept by someone else than the broker. Owned by the watcher, on
// its scheduler, which may be on another thread than the broker's or on the same.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "base/task.h"
#include "broker/broker_status.h"
#include "broker/status_feed.h"
#include "broker/status_mirror.h"
#include "io/refresh.h"
#include "io/scheduler.h"

namespace onceflow::broker {

/// Passes a question to Broker::tell_status on the broker's thread, and sees to it that the pieces
/// of the answer arrive on the watcher's, in their order. What is lost on the way is never
/// answered.
using AskBroker = std::function<void(TellStatus)>;

class StatusWatch {
 public:
  StatusWatch(io::Scheduler& scheduler, AskBroker ask);
  ~StatusWatch();
  StatusWatch(const StatusWatch&) = delete;
  StatusWatch& operator=(const StatusWatch&) = delete;

  /// True: mirror() and totals() are not older than this call. False: the broker has not answered
  /// within `patience`; they are as of the last answer.
  Task<bool> refresh(Duration patience) { return refresh_.refresh(patience); }
  const StatusMirror& mirror() const { return mirror_; }
  /// None before the first answer.
  const std::optional<BrokerStatus>& totals() const { return totals_; }
  /// When they came.
  std::optional<MonotonicTime> answered_at() const { return refresh_.answered_at(); }

 private:
  void ask();
  void on_news(StatusNews news);

  AskBroker ask_;
  io::Refresh refresh_;
  StatusMirror mirror_;
  std::optional<BrokerStatus> totals_;
  /// False once this object has gone: answers may still come.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace onceflow::broker
