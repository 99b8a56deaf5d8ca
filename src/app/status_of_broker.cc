#include "app/status_of_broker.h"

#include <nlohmann/json.hpp>

#include "app/metrics_of_partitions.h"
#include "app/status_lists.h"

namespace onceflow::app {
namespace {

using broker::BrokerStatus;
using Json = nlohmann::ordered_json;

std::string name_of(protocol::ErrorCode code) { return std::string(protocol::to_string(code)); }

void add_requests(Families& families, const broker::BrokerStatistics& counters) {
  for (const auto& [key, api] : counters.apis) {
    const std::string name(protocol::to_string(key));
    families.counter("onceflow_broker_requests_total", "Requests")
        .add({{"api", name}}, static_cast<double>(api.requests));
    for (const auto& [code, count] : api.errors) {
      families.counter("onceflow_broker_request_errors_total", "Answers with an error")
          .add({{"api", name}, {"error", name_of(code)}}, static_cast<double>(count));
    }
  }
}

void add_counters(Families& families, const BrokerStatus& status) {
  const auto count = [&](const std::string& name, const std::string& help, std::uint64_t total) {
    families.counter(name, help).add({}, static_cast<double>(total));
  };
  const broker::BrokerStatistics& counters = status.counters;
  count("onceflow_broker_produced_records_total", "Records appended", counters.produced_records);
  count("onceflow_broker_produced_batches_total", "Batches appended", counters.produced_batches);
  count("onceflow_broker_produced_bytes_total", "Bytes of batches appended",
        counters.produced_bytes);
  count("onceflow_broker_duplicate_batches_total",
        "Retries recognised, of which nothing was appended", counters.duplicate_batches);
  count("onceflow_broker_fetched_bytes_total", "Bytes of batches read", counters.fetched_bytes);
  count("onceflow_broker_received_bytes_total", "Bytes received", status.server.received_bytes);
  count("onceflow_broker_sent_bytes_total", "Bytes sent", status.server.sent_bytes);
  count("onceflow_broker_connections_total", "Connections accepted", status.server.accepted);
  for (std::size_t index = 0; index < status.server.closed_for_memory.size(); ++index) {
    families
        .counter("onceflow_broker_closed_for_memory_total",
                 "Connections closed because others waited for memory")
        .add({{"reason", std::string(to_string(static_cast<broker::ClosedForMemory>(index)))}},
             static_cast<double>(status.server.closed_for_memory[index]));
  }
  count("onceflow_broker_closed_without_memory_total",
        "Connections closed because the system had no memory for a request",
        status.server.closed_without_memory);
  count("onceflow_journal_flushes_total", "Syncs of the journal", status.log.journal_flushes);
  count("onceflow_checkpoints_total", "Checkpoints", status.log.checkpoint_count);
  auto& transactions = families.counter("onceflow_txn_total", "Transactions that have ended");
  transactions.add({{"result", "committed"}}, static_cast<double>(counters.committed_transactions));
  transactions.add({{"result", "aborted"}}, static_cast<double>(counters.aborted_transactions));
  families
      .histogram("onceflow_broker_produce_latency_seconds",
                 "From a request read to its durable answer")
      .add({}, counters.produce_latency);
  families.histogram("onceflow_broker_commit_latency_seconds", "Of EndTxn, likewise")
      .add({}, counters.commit_latency);
}

void add_gauges(Families& families, const BrokerStatus& status) {
  const auto set = [&](const std::string& name, const std::string& help, double value) {
    families.gauge(name, help).add({}, value);
  };
  set("onceflow_broker_uptime_seconds", "Since the broker started", to_seconds(status.uptime));
  set("onceflow_broker_connections", "Open connections",
      static_cast<double>(status.server.open_connections));
  set("onceflow_broker_request_memory_bytes", "Memory of requests and answers in flight",
      static_cast<double>(status.server.memory_bytes));
  set("onceflow_broker_request_memory_max_bytes", "What they may take: queued.max.request.bytes",
      static_cast<double>(status.server.memory_bytes_max));
  set("onceflow_broker_waiting_for_memory", "Connections that wait for memory",
      static_cast<double>(status.server.memory_waiting));
  for (const broker::StateUse& use : status.state) {
    families.gauge("onceflow_broker_state", "What clients have put into the log's state")
        .add({{"state", std::string(use.state)}}, static_cast<double>(use.used));
    families.gauge("onceflow_broker_state_max", "Its bound: docs/operations.md")
        .add({{"state", std::string(use.state)}}, static_cast<double>(use.limit));
  }
  set("onceflow_broker_waiting_fetches", "Fetches that wait for records",
      static_cast<double>(status.parked_fetches));
  set("onceflow_journal_bytes", "Bytes in the journal since the last checkpoint",
      static_cast<double>(status.log.journal_bytes));
  if (status.log.free_bytes) {
    set("onceflow_log_free_bytes", "Bytes left on the volume of the data directory",
        static_cast<double>(*status.log.free_bytes));
  }
  set("onceflow_log_reserve_bytes", "With less than this left no record is taken in",
      static_cast<double>(status.log.free_bytes_min));
  set("onceflow_log_out_of_room", "1 while records are refused for want of room",
      status.log.is_out_of_room ? 1 : 0);
  set("onceflow_recovery_seconds", "How long the last start took to recover",
      to_seconds(status.log.recovery));
  set("onceflow_topics", "Topics", static_cast<double>(status.topic_count));
  set("onceflow_txn_open", "Open transactions", static_cast<double>(status.open_transaction_count));
  for (const broker::OpenTransaction& transaction : status.open_transactions) {
    families.gauge("onceflow_txn_open_age_seconds", "Age of an open transaction")
        .add({{"transactional_id", transaction.transactional_id}}, to_seconds(transaction.age));
  }
}

void add_broker_loop(Families& families, const BrokerStatus& status) {
  add_loop(families, "broker",
           {.lately = status.longest_turn_lately, .ever = status.longest_turn_ever});
}

Json latency_json(const Histogram& histogram) {
  return {{"count", histogram.count()},
          {"p50", round_to(to_seconds(histogram.quantile(0.5)) * 1e3, 3)},
          {"p99", round_to(to_seconds(histogram.quantile(0.99)) * 1e3, 3)}};
}

Json transactions_json(const BrokerStatus& status) {
  Json transactions = Json::array();
  for (const broker::OpenTransaction& open : status.open_transactions) {
    transactions.push_back({{"transactional_id", open.transactional_id},
                            {"producer_id", open.producer_id},
                            {"producer_epoch", open.producer_epoch},
                            {"age_seconds", round_to_ms(open.age)},
                            {"timeout_seconds", round_to_ms(open.timeout)},
                            {"partitions", open.partition_count},
                            {"groups", open.group_count}});
  }
  return transactions;
}

}  // namespace

void tell_broker_status(broker::Broker& broker, io::EventLoop& loop, broker::TellStatus tell) {
  broker.tell_status([&loop, tell = std::move(tell)](broker::StatusNews news) {
    if (news.totals) {
      const LoopTurns turns = turns_of(loop);
      news.totals->longest_turn_lately = turns.lately;
      news.totals->longest_turn_ever = turns.ever;
    }
    tell(std::move(news));
  });
}

BrokerStatusPages::BrokerStatusPages(io::Scheduler& scheduler, broker::AskBroker ask)
    : scheduler_(scheduler), watch_(scheduler, std::move(ask)), started_(scheduler.now()) {}

void BrokerStatusPages::add_metrics(Families& families) const {
  const BrokerStatus& status = *watch_.totals();
  add_gauges(families, status);
  add_counters(families, status);
  add_requests(families, status.counters);
  add_broker_loop(families, status);
  add_status_age(families, "broker", scheduler_.now() - *watch_.answered_at());
}

std::unique_ptr<console::TextSource> BrokerStatusPages::metrics_of_partitions(
    const Secrets& secrets) const {
  return std::make_unique<PartitionMetrics>(watch_.mirror(), secrets);
}

std::string BrokerStatusPages::json() {
  const BrokerStatus& status = *watch_.totals();
  const MonotonicTime now = *watch_.answered_at();
  const broker::BrokerStatistics& counters = status.counters;
  const auto rate = [&](RateWindow& window, std::uint64_t total) {
    return round_to(window.add(now, total, started_), 1);
  };
  Json json = {{"cluster_id", status.cluster_id},
               {"node_id", status.node_id},
               {"uptime_seconds", round_to_ms(status.uptime)},
               {"status_age_seconds", round_to_ms(scheduler_.now() - now)},
               {"loop", Json::parse(loop_json({.lately = status.longest_turn_lately,
                                               .ever = status.longest_turn_ever}))},
               {"connections", status.server.open_connections},
               {"topics", status.topic_count},
               {"per_second",
                {{"produced_records", rate(records_, counters.produced_records)},
                 {"received_bytes", rate(received_bytes_, status.server.received_bytes)},
                 {"sent_bytes", rate(sent_bytes_, status.server.sent_bytes)},
                 {"commits", rate(commits_, counters.committed_transactions)}}},
               {"totals",
                {{"produced_records", counters.produced_records},
                 {"produced_bytes", counters.produced_bytes},
                 {"fetched_bytes", counters.fetched_bytes},
                 {"duplicate_batches", counters.duplicate_batches},
                 {"committed_transactions", counters.committed_transactions},
                 {"aborted_transactions", counters.aborted_transactions}}},
               {"produce_latency_ms", latency_json(counters.produce_latency)},
               {"commit_latency_ms", latency_json(counters.commit_latency)},
               {"journal",
                {{"bytes", status.log.journal_bytes},
                 {"flushes", status.log.journal_flushes},
                 {"recovery_seconds", round_to_ms(status.log.recovery)}}},
               {"open_transaction_count", status.open_transaction_count},
               {"open_transactions", transactions_json(status)}};
  json.update(Json::parse(lists_json(watch_.mirror())));
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::optional<std::string> BrokerStatusPages::part_of_status(
    const console::HttpRequest& request) const {
  if (request.path == "/status/partitions") {
    return partitions_page(watch_.mirror(), request.query);
  }
  if (request.path == "/status/groups") {
    return groups_page(watch_.mirror(), request.query);
  }
  return std::nullopt;
}

}  // namespace onceflow::app
