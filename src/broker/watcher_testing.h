// For tests of the broker: what a watcher sees of its partitions and groups. Test code only.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <utility>

#include "broker/broker.h"
#include "broker/broker_testing.h"
#include "broker/status_mirror.h"

namespace onceflow::broker {

/// One a broker, for it is told what has changed since it looked last.
class Watcher {
 public:
  Watcher(io::EventLoop& loop, Broker& broker) : loop_(loop), broker_(broker) {}

  /// Everything, as it is now. Not within a callback of the loop.
  const StatusMirror& look() {
    totals_.reset();
    broker_.tell_status([this](StatusNews news) {
      totals_ = news.totals;
      mirror_.apply(std::move(news));
    });
    EXPECT_TRUE(loop_.run_until([this] { return totals_.has_value(); }, kTestPatience));
    return mirror_;
  }
  const MirroredPartition& partition(const std::string& topic, std::size_t index) {
    const StatusMirror& seen = look();
    return seen.topic(seen.topics().at(topic)).partitions.at(index);
  }
  /// As of the last look.
  const BrokerStatus& totals() const { return *totals_; }

 private:
  io::EventLoop& loop_;
  Broker& broker_;
  StatusMirror mirror_;
  std::optional<BrokerStatus> totals_;
};

}  // namespace onceflow::broker
