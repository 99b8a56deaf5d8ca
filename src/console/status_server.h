// StatusServer: serves /metrics (Prometheus) and /status (JSON) over HTTP. It knows nothing of what
// they show: whoever starts it hands in a function that reads the status.
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
};

/// May ask another thread and wait.
using ReadStatus = std::function<Task<StatusPage>()>;

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
                                                     ReadStatus read_status);
  /// Closes everything. `read_status` is not called any more; one that is running ends by itself.
  ~StatusServer();

  io::Endpoint local() const;

 private:
  class State;
  explicit StatusServer(std::shared_ptr<State> state);

  /// Shared with the tasks on the scheduler, which may end after this object.
  std::shared_ptr<State> state_;
};

}  // namespace onceflow::console
