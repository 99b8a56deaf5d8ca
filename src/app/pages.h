// What the status port shows, put together of what the parts of the process tell: the pages of
// `onceflow broker` and of `onceflow run`. On the console's thread; their owner tells them by posts
// to it in which phase the process is.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "app/status_of_broker.h"
#include "app/status_of_worker.h"
#include "base/secrets.h"
#include "console/status_server.h"

namespace onceflow::app {

class BrokerPages final : public console::Pages {
 public:
  enum class Phase { kStarting, kReady, kStopping };

  BrokerPages(io::Scheduler& scheduler, broker::AskBroker ask)
      : broker_(scheduler, std::move(ask)) {}

  void set_phase(Phase phase) { phase_ = phase; }

  Task<std::optional<console::Page>> read(console::HttpRequest request) override;
  /// Alive while it answers: what it cannot go on with ends it.
  Task<console::Health> health() override;

 private:
  BrokerStatusPages broker_;
  Phase phase_ = Phase::kStarting;
};

class RunPages final : public console::Pages {
 public:
  /// `ask_broker` is empty if there is no embedded log. `planned` must outlive the pages;
  /// `named` is the pipeline file as it is typed again, with its flags.
  RunPages(const pipeline::PlannedPipeline& planned, std::string named, io::Scheduler& scheduler,
           AskWorker ask_worker, broker::AskBroker ask_broker);

  /// There is a worker, and the log under it.
  void set_started() { is_started_ = true; }

  Task<std::optional<console::Page>> read(console::HttpRequest request) override;
  Task<console::Health> health() override;

 private:
  const Secrets& secrets_;
  WorkerStatusPages worker_;
  std::optional<BrokerStatusPages> broker_;
  bool is_started_ = false;
};

}  // namespace onceflow::app
