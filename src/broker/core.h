// BrokerCore: what the handlers work on, in one place. Owned by Broker, on its thread.
//
// The law of a step (coordinator/effects.h): a handler calls the coordinators, then settle()
// appends what they ask for; every answer waits for all that was appended up to then.
#pragma once

#include <cstdint>
#include <new>
#include <optional>
#include <set>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/rate_limiter.h"
#include "base/task.h"
#include "broker/broker_options.h"
#include "broker/broker_status.h"
#include "broker/fetch_waiters.h"
#include "broker/request.h"
#include "broker/server.h"
#include "broker/slices.h"
#include "coordinator/coordinator.h"
#include "io/blocking.h"
#include "io/environment.h"
#include "log/log.h"
#include "protocol/api_key.h"

namespace onceflow::broker {

/// What an operator hears of clients. Each has its own bound on lines, so that none can be hidden
/// by another.
enum class ClientNews : std::uint8_t {
  kNotDecoded,
  kManyNames,
  kLargeAnswer,
  kManyProducers,
  kSettingsWithoutEffect,
};
inline constexpr std::size_t kClientNewsCount = 5;

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
             io::BlockingThread& worker_of, std::string cluster_id_of);

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

  /// Runs all that a handler does to the log or to a coordinator: `change` calls them, and settles.
  /// Where memory runs out within it, only a restart can say how far it went, from the journal; in
  /// what surrounds it, the making of an answer, nothing is lost but that answer.
  template <typename Change>
  auto changing(const Change& change) {
    const bool is_within_another = std::exchange(is_changing, true);
    if constexpr (std::is_void_v<std::invoke_result_t<const Change&>>) {
      change();
      is_changing = is_within_another;
    } else {
      auto result = change();
      is_changing = is_within_another;
      return result;
    }
  }

  /// For what works on while its connection is held, as Connection::hand_over for the rest: false
  /// if there is no memory for `step`. Then the connection must end (Server::close_without_memory).
  template <typename Step>
  bool try_to(const Step& step) const {
    try {
      step();
      return true;
    } catch (const std::bad_alloc&) {
      const bool out_of_memory_in_the_middle_of_a_change = is_changing;
      CHECK(!out_of_memory_in_the_middle_of_a_change);
      return false;
    }
  }
  /// Until the journal takes more, as before a request is handled.
  Task<void> wait_while_full();

  /// Tells the operator what a client has done; a few times in a short while, then how often.
  void tell_of_client(ClientNews news, std::string text);

  /// Of what a client has set on a topic.
  void tell_of_settings_without_effect(const std::string& topic,
                                       const log::TopicConfigOverrides& overrides);

  /// That a request was too much to answer.
  void tell_of_large_answer(protocol::ApiKey api, std::size_t bytes);
  /// Ends what a handler began with kHeld: counts its answer, which waits as the API's others do.
  void finish_held(protocol::ApiKey key, const ReplySlot& slot, Disposition disposition,
                   Reply reply);
  /// The same; without memory for an answer, its connection ends.
  void finish_held(protocol::ApiKey key, const ReplySlot& slot, std::optional<Reply> reply);

  coordinator::Ticket park(const Request& request, const std::string& group_id);
  /// Nobody hears what is parked there.
  void on_connection_closed(ConnectionNumber connection);

  io::Environment& environment;
  const BrokerOptions& options;
  log::Log& log;
  coordinator::Coordinator& coordinator;
  Server& server;
  io::BlockingThread& worker;  ///< for what would keep the loop for long
  const std::string cluster_id;
  coordinator::Effects effects;
  FetchWaiters fetches;
  Slices slices;
  BrokerStatistics statistics;
  /// See changing().
  bool is_changing = false;
  Buffer scratch;  ///< for decompression while validating

 private:
  void answer_tickets();

  std::vector<RateLimiter> news_of_clients_{kClientNewsCount, RateLimiter(5, seconds(10))};
  coordinator::Ticket last_ticket_{0};
  std::unordered_map<coordinator::Ticket, ParkedGroupRequest> parked_;
  std::set<std::pair<ConnectionNumber, coordinator::Ticket>> parked_by_connection_;
};

}  // namespace onceflow::broker
