#include "app/pages.h"

#include <utility>

#include "app/masked_streams.h"

namespace onceflow::app {
namespace {

using console::Health;
using console::HttpRequest;
using console::Page;

Page not_yet(std::string why) {
  return {.response = {.status = 503, .body = std::move(why) + "\n"}, .rest = nullptr};
}

Page json_page(std::string text) {
  return {.response = {.content_type = "application/json", .body = std::move(text)},
          .rest = nullptr};
}

Page metrics_page(Families& families, const Secrets& secrets,
                  std::unique_ptr<console::TextSource> rest) {
  families.add_process();
  return {.response = {.content_type = std::string(console::kPrometheusContentType),
                       .body = console::to_prometheus(masked(families.take(), secrets))},
          .rest = std::move(rest)};
}

}  // namespace

Task<std::optional<Page>> BrokerPages::read(HttpRequest request) {
  const bool is_part = request.path.starts_with("/status/");
  if (!is_part && request.path != "/metrics" && request.path != "/status") {
    co_return std::nullopt;
  }
  if (phase_ == Phase::kStarting) {
    co_return not_yet("the broker is starting");
  }
  co_await broker_.refresh();
  if (!broker_.has_answered()) {
    co_return not_yet("the broker does not answer");
  }
  if (request.path == "/metrics") {
    Families families;
    broker_.add_metrics(families);
    co_return metrics_page(families, {}, broker_.metrics_of_partitions({}));
  }
  if (request.path == "/status") {
    co_return json_page(lay_out(broker_.json()));
  }
  auto part = broker_.part_of_status(request);
  co_return part ? std::optional(json_page(*std::move(part))) : std::nullopt;
}

Task<Health> BrokerPages::health() {
  if (phase_ == Phase::kStarting) {
    co_return Health{.is_ready = false, .text = "starting: recovering\n"};
  }
  if (phase_ == Phase::kStopping) {
    co_return Health{.is_ready = false, .text = "stopping\n"};
  }
  if (!co_await broker_.refresh()) {
    co_return Health{.is_alive = false, .is_ready = false, .text = "the broker does not answer\n"};
  }
  co_return Health{.is_ready = true, .text = "ready\n"};
}

RunPages::RunPages(const pipeline::PlannedPipeline& planned, std::string named,
                   io::Scheduler& scheduler, AskWorker ask_worker, broker::AskBroker ask_broker)
    : secrets_(planned.spec.secrets),
      worker_(planned, std::move(named), scheduler, std::move(ask_worker)) {
  if (ask_broker) {
    broker_.emplace(scheduler, std::move(ask_broker));
  }
}

Task<std::optional<Page>> RunPages::read(HttpRequest request) {
  const bool is_part = request.path.starts_with("/status/");
  if ((!is_part || !broker_) && request.path != "/metrics" && request.path != "/status") {
    co_return std::nullopt;
  }
  if (!is_started_) {
    co_return not_yet("the embedded log is starting");
  }
  if (broker_) {
    co_await broker_->refresh();
  }
  const bool has_broker = broker_ && broker_->has_answered();
  if (is_part) {
    for (auto& [key, value] : request.query) {
      value = secrets_.unmasked(value);
    }
    const auto part = has_broker ? broker_->part_of_status(request) : std::nullopt;
    co_return part ? std::optional(json_page(secrets_.masked_json(*part))) : std::nullopt;
  }
  co_await worker_.refresh();
  if (!worker_.has_answered()) {
    co_return not_yet("the worker does not answer");
  }
  if (request.path == "/metrics") {
    Families families;
    worker_.add_metrics(families);
    if (has_broker) {
      broker_->add_metrics(families);
    }
    co_return metrics_page(families, secrets_,
                           has_broker ? broker_->metrics_of_partitions(secrets_) : nullptr);
  }
  std::optional<std::string> log;
  if (broker_) {
    log = has_broker ? broker_->json() : R"({"reason": "the embedded log does not answer"})";
  }
  co_return json_page(secrets_.masked_json(worker_.json(log)));
}

Task<Health> RunPages::health() {
  if (!is_started_) {
    co_return Health{.is_ready = false, .text = "the embedded log is starting\n"};
  }
  if (!co_await worker_.refresh()) {
    co_return Health{.is_alive = false, .is_ready = false, .text = "the worker does not answer\n"};
  }
  Health health = worker_.health();
  health.text = secrets_.masked(health.text);
  co_return health;
}

}  // namespace onceflow::app
