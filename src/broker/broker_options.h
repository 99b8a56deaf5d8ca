// BrokerOptions: everything a broker is told, with Kafka's defaults where Kafka has the key.
// Values.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "broker/connection.h"
#include "coordinator/coordinator.h"
#include "io/network.h"
#include "io/time_slice.h"
#include "log/log.h"

namespace onceflow::broker {

/// Whether a listener on this host listens on every address of the machine.
inline bool is_every_address(const std::string& host) {
  return host.empty() || host == "0.0.0.0" || host == "::";
}

/// Whether only this machine reaches a listener on this host.
inline bool is_loopback(const std::string& host) {
  return host == "localhost" || host == "::1" || host.starts_with("127.");
}

struct BrokerOptions {
  std::int32_t node_id = 1;
  /// Names the count of the scheduler's monotonic clock, which goes on over restarts of the process
  /// but not of the machine (io/os/boot_id.h). 0: not known, and every start is a new count.
  std::uint64_t boot_id = 0;
  ServerOptions server;
  /// What clients are told to connect to; an empty host or port 0 means what the server listens on.
  io::Endpoint advertised{"", 0};
  log::LogOptions log;
  coordinator::CoordinatorOptions coordinator;
  std::int32_t num_partitions = 1;
  bool auto_create_topics = true;
  std::int32_t fetch_bytes_max = 55 << 20;  ///< Kafka's fetch.max.bytes
  /// What the batches of one Produce may come to, with what they unpack to, before the rest of them
  /// is looked into off the loop.
  std::size_t batch_bytes_on_loop_max = 1u << 20;
  /// A request that has more to do is worked on in slices of the loop (pieces.h), where it may be.
  std::size_t names_at_once_max = 500;
  Duration slice_length = io::kSliceLength;
  Duration stop_patience = seconds(1);  ///< for answers under way, at a graceful stop

  /// The disk failed. Nothing was acknowledged that is not durable; the process must stop.
  std::function<void(const Error&)> on_fatal;
  /// Something an operator should read: damage found or repaired. May be empty.
  std::function<void(const Error&)> on_notice;
};

}  // namespace onceflow::broker
