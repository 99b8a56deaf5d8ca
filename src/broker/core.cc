#include "broker/core.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <new>
#include <utility>

#include "base/check.h"
#include "broker/api_table.h"
#include "broker/handlers/handlers.h"
#include "io/event.h"

namespace onceflow::broker {

BrokerCore::BrokerCore(io::Environment& environment_of, const BrokerOptions& options_of,
                       log::Log& log_of, coordinator::Coordinator& coordinator_of,
                       Server& server_of, io::BlockingThread& worker_of, std::string cluster_id_of)
    : environment(environment_of),
      options(options_of),
      log(log_of),
      coordinator(coordinator_of),
      server(server_of),
      worker(worker_of),
      cluster_id(std::move(cluster_id_of)),
      fetches(environment_of.scheduler,
              [this](ParkedFetch& fetch) { return answer_parked_fetch(*this, fetch); }),
      slices(environment_of.scheduler, options_of.slice_length) {}

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

Task<void> BrokerCore::wait_while_full() {
  while (log.is_full()) {
    co_await io::await_callback<bool>([&](auto callback) {
      log.when_not_full([then = std::move(callback)]() mutable { then(true); });
    });
  }
}

void BrokerCore::tell_of_client(ClientNews news, std::string text) {
  RateLimiter& limiter = news_of_clients_[static_cast<std::size_t>(news)];
  if (!options.on_notice || !limiter.allow(environment.scheduler.now())) {
    return;
  }
  if (const std::uint64_t left_out = limiter.take_held_back_count(); left_out > 0) {
    text += fmt::format(" ({} more such lines were left out before this one)", left_out);
  }
  options.on_notice({onceflow::ErrorCode::kInvalidArgument, std::move(text), Recovery::kFatal});
}

void BrokerCore::tell_of_settings_without_effect(const std::string& topic,
                                                 const log::TopicConfigOverrides& overrides) {
  if (const auto names = log::without_effect(overrides); !names.empty()) {
    tell_of_client(ClientNews::kSettingsWithoutEffect,
                   fmt::format("topic '{}': without effect here, and kept: {}", topic,
                               fmt::join(names, ", ")));
  }
}

void BrokerCore::tell_of_large_answer(protocol::ApiKey api, std::size_t bytes) {
  tell_of_client(
      ClientNews::kLargeAnswer,
      fmt::format(
          "the answer to one {} would take {} MiB, and {} is the most: its connection was closed; "
          "ask for fewer things at a time, or raise queued.max.request.bytes",
          protocol::to_string(api), bytes >> 20, server.answer_bytes_max() >> 20));
}

void BrokerCore::finish_held(protocol::ApiKey key, const ReplySlot& slot, Disposition disposition,
                             Reply reply) {
  if (reply.error != protocol::ErrorCode::kNone) {
    ++statistics.apis[key].errors[reply.error];
  }
  if (find_api(key)->when == AnswerWhen::kDurable) {
    reply.durable_at = log.end();
  }
  server.finish_held(slot, disposition, std::move(reply));
}

void BrokerCore::finish_held(protocol::ApiKey key, const ReplySlot& slot,
                             std::optional<Reply> reply) {
  if (reply) {
    finish_held(key, slot, Disposition::kAnswer, *std::move(reply));
  } else {
    server.close_without_memory(slot.connection);
    finish_held(key, slot, Disposition::kClose, {});
  }
}

coordinator::Ticket BrokerCore::park(const Request& request, const std::string& group_id) {
  ++last_ticket_;
  parked_.emplace(last_ticket_,
                  ParkedGroupRequest{.group_id = group_id,
                                     .slot = request.slot,
                                     .api_version = request.header.api_version,
                                     .correlation_id = request.header.correlation_id});
  parked_by_connection_.emplace(request.slot.connection, last_ticket_);
  return last_ticket_;
}

void BrokerCore::on_connection_closed(ConnectionNumber connection) {
  fetches.on_connection_closed(connection);
  for (auto place = parked_by_connection_.lower_bound({connection, coordinator::Ticket(0)});
       place != parked_by_connection_.end() && place->first == connection; ++place) {
    const coordinator::Ticket ticket = place->second;
    coordinator.groups().on_ticket_lost(parked_.at(ticket).group_id, ticket, moment());
  }
}

void BrokerCore::answer_tickets() {
  const auto answer = [&](coordinator::Ticket ticket, const auto& group_reply) {
    auto parked = parked_.extract(ticket);
    CHECK(!parked.empty());
    parked_by_connection_.erase({parked.mapped().slot.connection, ticket});
    // The group has moved on; only this answer is lost if there is no memory for it, and its member
    // asks again.
    try {
      Reply reply;
      encode_group_reply(group_reply, parked.mapped(), reply);
      reply.durable_at = log.end();
      server.complete(parked.mapped().slot, std::move(reply));
    } catch (const std::bad_alloc&) {
      server.close_without_memory(parked.mapped().slot.connection);
    }
  };
  for (const coordinator::JoinGroupAnswer& join : std::exchange(effects.join_answers, {})) {
    answer(join.ticket, join.reply);
  }
  for (const coordinator::SyncGroupAnswer& sync : std::exchange(effects.sync_answers, {})) {
    answer(sync.ticket, sync.reply);
  }
}

}  // namespace onceflow::broker
