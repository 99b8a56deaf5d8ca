// BrokerStatusPages: what a broker tells of itself, as metrics and as JSON. On the watcher's
// thread: that of the console, which the broker's waits for nothing (broker/status_feed.h).
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "app/rate_window.h"
#include "app/status_parts.h"
#include "base/secrets.h"
#include "broker/broker.h"
#include "broker/status_watch.h"
#include "console/status_server.h"
#include "io/os/event_loop.h"
#include "io/scheduler.h"

namespace onceflow::app {

/// Broker::tell_status with what the loop knows of itself. On the broker's thread, that of `loop`.
void tell_broker_status(broker::Broker& broker, io::EventLoop& loop, broker::TellStatus tell);

class BrokerStatusPages {
 public:
  BrokerStatusPages(io::Scheduler& scheduler, broker::AskBroker ask);

  /// False: the broker does not answer; what follows is as of its last answer, if there was one.
  Task<bool> refresh() { return watch_.refresh(kPatience); }
  bool has_answered() const { return watch_.totals().has_value(); }

  /// The sums; what there may be much of is in metrics_of_partitions().
  void add_metrics(Families& families) const;
  /// Refers to these pages.
  std::unique_ptr<console::TextSource> metrics_of_partitions(const Secrets& secrets) const;
  /// A JSON object: sums, and of partitions and groups at most so many that it stays small.
  std::string json();
  /// /status/partitions and /status/groups as JSON, a part of them each; nothing for other paths.
  std::optional<std::string> part_of_status(const console::HttpRequest& request) const;

 private:
  /// How long a page waits for a broker that does not answer.
  static constexpr Duration kPatience = seconds(5);

  io::Scheduler& scheduler_;
  broker::StatusWatch watch_;
  const MonotonicTime started_;
  RateWindow records_;
  RateWindow received_bytes_;
  RateWindow sent_bytes_;
  RateWindow commits_;
};

}  // namespace onceflow::app
