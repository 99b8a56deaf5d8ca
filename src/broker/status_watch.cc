#include "broker/status_watch.h"

#include <utility>

namespace onceflow::broker {

StatusWatch::StatusWatch(io::Scheduler& scheduler, AskBroker ask)
    : ask_(std::move(ask)), refresh_(scheduler, [this] { this->ask(); }) {}

StatusWatch::~StatusWatch() { *alive_ = false; }

void StatusWatch::ask() {
  ask_([this, alive = alive_](StatusNews news) {
    if (*alive) {
      on_news(std::move(news));
    }
  });
}

void StatusWatch::on_news(StatusNews news) {
  std::optional<BrokerStatus> totals = std::exchange(news.totals, std::nullopt);
  mirror_.apply(std::move(news));
  if (totals) {
    totals_ = std::move(totals);
    refresh_.answered();
  }
}

}  // namespace onceflow::broker
