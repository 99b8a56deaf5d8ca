// StatusFeed: tells a watcher on another thread what a broker would show, without computing
// anything over all that it has. Owned by Broker, on its thread.
//
// Log and coordinator keep which topics, partitions, groups and offsets have changed
// (log/log_changes.h, GroupCoordinator::watch). The watcher asks; it is told the changes in pieces,
// each in a turn of its own, so that whoever waits for the loop waits for one piece at most; the
// last piece has the totals. The watcher keeps them in a StatusMirror. So the loop's cost is that
// of the changes since the last question, and nothing is shared between the threads.
//
// Invariants: at most one question is being answered (the watcher asks again after the last piece);
// a value told later was read later.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "broker/broker_status.h"
#include "coordinator/group_coordinator.h"
#include "io/scheduler.h"
#include "log/log.h"
#include "log/log_changes.h"

namespace onceflow::broker {

/// A piece of an answer. Values.
struct StatusNews {
  log::LogNews log;
  coordinator::GroupCoordinator::News groups;
  std::optional<BrokerStatus> totals;  ///< with the last piece
};

/// Called once for each piece.
using TellStatus = std::function<void(StatusNews)>;

class StatusFeed {
 public:
  /// From now on changes are kept. `totals` is called with each last piece.
  StatusFeed(io::Scheduler& scheduler, log::Log& log, coordinator::GroupCoordinator& groups,
             std::function<BrokerStatus()> totals);
  ~StatusFeed();
  StatusFeed(const StatusFeed&) = delete;
  StatusFeed& operator=(const StatusFeed&) = delete;

  /// Tells all that has changed since the last question, the first piece within this call.
  void ask(TellStatus tell);

 private:
  void tell_next();

  io::Scheduler& scheduler_;
  log::Log& log_;
  coordinator::GroupCoordinator& groups_;
  std::function<BrokerStatus()> totals_;
  TellStatus tell_;  // empty unless a question is being answered
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace onceflow::broker
