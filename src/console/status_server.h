// StatusServer: serves /metrics (Prometheus), /status (JSON), /healthz and /readyz over HTTP. It
// knows nothing of what they show: whoever starts it hands in functions that read it.
//
// Owned by the program, runs on its environment's scheduler. Bounds: connections_max at once, a
// request of request_bytes_max, and silence_max until one is whole.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/task.h"
#include "base/time.h"
#include "console/metrics.h"
#include "io/environment.h"

namespace onceflow::console {

struct StatusPage {
  std::vector<MetricFamily> metrics;
  std::string json;
  /// Why there is no page yet; then it is answered with 503.
  std::string not_yet;
};

/// For probes: /healthz says whether a restart would help, /readyz whether it does its work.
struct Health {
  bool is_alive = true;
  bool is_ready = false;
  std::string text;  ///< lines for people
};

/// May ask another thread and wait.
using ReadStatus = std::function<Task<StatusPage>()>;
/// At once.
using ReadHealth = std::function<Health()>;

struct StatusServerOptions {
  io::Endpoint listen;
  std::size_t connections_max = 32;
  std::size_t request_bytes_max = 8192;
  Duration silence_max = seconds(10);
};

class StatusServer {
 public:
  /// Listens from now on. kAddressInUse.
  static Result<std::unique_ptr<StatusServer>> start(io::Environment environment,
                                                     StatusServerOptions options,
                                                     ReadStatus read_status,
                                                     ReadHealth read_health);
  /// Closes everything. Nothing is called any more; a `read_status` that is running ends by itself.
  ~StatusServer();

  io::Endpoint local() const;

 private:
  class State;
  explicit StatusServer(std::shared_ptr<State> state);

  /// Shared with the tasks on the scheduler, which may end after this object.
  std::shared_ptr<State> state_;
};

}  // namespace onceflow::console
