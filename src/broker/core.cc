#include "broker/core.h"

#include <utility>

#include "base/check.h"
#include "broker/handlers/handlers.h"

namespace onceflow::broker {

BrokerCore::BrokerCore(io::Environment& environment_of, const BrokerOptions& options_of,
                       log::Log& log_of, coordinator::Coordinator& coordinator_of,
                       Server& server_of, std::string cluster_id_of)
    : environment(environment_of),
      options(options_of),
      log(log_of),
      coordinator(coordinator_of),
      server(server_of),
      cluster_id(std::move(cluster_id_of)),
      fetches(environment_of.scheduler,
              [this](ParkedFetch& fetch) { answer_parked_fetch(*this, fetch); }) {}

io::Endpoint BrokerCore::advertised() const {
  io::Endpoint endpoint = options.advertised;
  const io::Endpoint local = server.local();
  if (endpoint.port == 0) {
    endpoint.port = local.port;
  }
  if (endpoint.host.empty()) {
    endpoint.host = is_every_address(local.host) ? "localhost" : local.host;
  }
  return endpoint;
}

void BrokerCore::append_entries() {
  for (const coordinator::JournalEntry& entry : effects.entries) {
    if (!entry.end_transaction) {
      log.append_record(entry.record);
      continue;
    }
    const coordinator::EndTransaction& end = *entry.end_transaction;
    const bool commit = end.result == coordinator::TransactionResult::kCommit;
    ++(commit ? statistics.committed_transactions : statistics.aborted_transactions);
    log.append_end_transaction({.producer = end.marker,
                                .commit = commit,
                                .timestamp_ms = environment.scheduler.wall_now().ms,
                                .partitions = end.partitions},
                               entry.record);
  }
  effects.entries.clear();
}

void BrokerCore::settle() {
  if (!effects.empty()) {
    append_entries();
    answer_tickets();
  }
}

coordinator::Ticket BrokerCore::park(const Request& request, const std::string& group_id) {
  ++last_ticket_;
  parked_.emplace(last_ticket_,
                  ParkedGroupRequest{.group_id = group_id,
                                     .slot = request.slot,
                                     .api_version = request.header.api_version,
                                     .correlation_id = request.header.correlation_id});
  return last_ticket_;
}

void BrokerCore::on_connection_closed(ConnectionNumber connection) {
  fetches.on_connection_closed(connection);
  for (const auto& [ticket, parked] : parked_) {
    if (parked.slot.connection == connection) {
      coordinator.groups().on_ticket_lost(parked.group_id, ticket, moment());
    }
  }
}

void BrokerCore::answer_tickets() {
  const auto answer = [&](coordinator::Ticket ticket, const auto& group_reply) {
    auto parked = parked_.extract(ticket);
    CHECK(!parked.empty());
    Reply reply;
    encode_group_reply(group_reply, parked.mapped(), reply);
    reply.durable_at = log.end();
    server.complete(parked.mapped().slot, std::move(reply));
  };
  for (const coordinator::JoinGroupAnswer& join : std::exchange(effects.join_answers, {})) {
    answer(join.ticket, join.reply);
  }
  for (const coordinator::SyncGroupAnswer& sync : std::exchange(effects.sync_answers, {})) {
    answer(sync.ticket, sync.reply);
  }
}

}  // namespace onceflow::broker
