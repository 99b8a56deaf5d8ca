// BrokerStatusPage: what a broker tells of itself, as metrics and as JSON. On the broker's thread.
#pragma once

#include "app/rate_window.h"
#include "broker/broker.h"
#include "console/status_server.h"
#include "io/os/event_loop.h"

namespace onceflow::app {

class BrokerStatusPage {
 public:
  /// Both must outlive the page.
  BrokerStatusPage(const broker::Broker& broker, io::EventLoop& loop);

  /// Of the broker alone: what the process uses is for its owner to add.
  console::StatusPage read_part();
  /// Of a process that is a broker and nothing else.
  console::StatusPage read();

 private:
  const broker::Broker& broker_;
  io::EventLoop& loop_;
  const MonotonicTime started_;
  RateWindow records_;
  RateWindow received_bytes_;
  RateWindow sent_bytes_;
  RateWindow commits_;
};

}  // namespace onceflow::app
