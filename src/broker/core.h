// BrokerCore: what the handlers work on, in one place. Owned by Broker, on its thread.
//
// The law of a step (coordinator/effects.h): a handler calls the coordinators, then settle()
// appends what they ask for; every answer waits for all that was appended up to then.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include "broker/broker_options.h"
#include "broker/broker_status.h"
#include "broker/fetch_waiters.h"
#include "broker/request.h"
#include "broker/server.h"
#include "coordinator/coordinator.h"
#include "io/environment.h"
#include "log/log.h"

namespace onceflow::broker {

/// A JoinGroup or SyncGroup that waits for other members.
struct ParkedGroupRequest {
  std::string group_id;
  ReplySlot slot;
  std::int16_t api_version = 0;
  std::int32_t correlation_id = 0;
};

class BrokerCore {
 public:
  BrokerCore(io::Environment& environment_of, const BrokerOptions& options_of, log::Log& log_of,
             coordinator::Coordinator& coordinator_of, Server& server_of,
             std::string cluster_id_of);

  coordinator::Moment moment() const {
    return {environment.scheduler.now(), environment.scheduler.wall_now(), options.boot_id};
  }
  coordinator::Caller caller(const Request& request) const {
    return {moment(), request.slot.connection, request.header.api_version};
  }
  /// Where clients find this broker.
  io::Endpoint advertised() const;

  /// Appends the entries of `effects`, in their order, and nothing else: where a batch follows.
  void append_entries();
  /// append_entries, and answers the tickets.
  void settle();

  coordinator::Ticket park(const Request& request, const std::string& group_id);
  /// Nobody hears what is parked there.
  void on_connection_closed(ConnectionNumber connection);

  io::Environment& environment;
  const BrokerOptions& options;
  log::Log& log;
  coordinator::Coordinator& coordinator;
  Server& server;
  const std::string cluster_id;
  coordinator::Effects effects;
  FetchWaiters fetches;
  BrokerStatistics statistics;
  Buffer scratch;  ///< for decompression while validating

 private:
  void answer_tickets();

  coordinator::Ticket last_ticket_{0};
  std::unordered_map<coordinator::Ticket, ParkedGroupRequest> parked_;
};

}  // namespace onceflow::broker
