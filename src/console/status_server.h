// StatusServer: serves a program's pages (/metrics for Prometheus, /status as JSON), and /healthz
// and /readyz, over HTTP. It knows nothing of what they show: its owner hands in the Pages.
//
// Owned by the program, runs on its environment's scheduler: that of a thread of its own, so that
// whoever looks takes no time of what is looked at. Bounds: connections_max at once; a request of
// request_bytes_max; silence_max until a request is whole or a piece of an answer has been taken;
// answer_time_max for a whole answer. A page is made in pieces of kPieceBytes while it is sent, so
// a reader that does not read holds one piece. When all connections are taken, one that does not
// take what it is sent makes room for a new one, the slowest first, and then one that has nothing
// to do or has asked for nothing yet, the oldest first. A quarter of the connections is for probes
// alone, /healthz and /readyz.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "base/task.h"
#include "base/time.h"
#include "console/http.h"
#include "io/environment.h"

namespace onceflow::console {

/// A text that is made while it is sent. What it reads may change between two pieces.
class TextSource {
 public:
  virtual ~TextSource() = default;
  /// Appends about `bytes` more, at least something if something is left. False: nothing was left.
  virtual bool append(std::string& text, std::size_t bytes) = 0;
};

struct Page {
  HttpResponse response;
  /// After the response's body; may be null.
  std::unique_ptr<TextSource> rest;
};

/// For probes: /healthz says whether a restart would help, /readyz whether it does its work.
struct Health {
  bool is_alive = true;
  bool is_ready = false;
  std::string text;  ///< lines for people
};

class Pages {
 public:
  virtual ~Pages() = default;
  /// Of a path that is none of the server's own; nothing if there is no such page. May ask other
  /// threads and wait.
  virtual Task<std::optional<Page>> read(HttpRequest request) = 0;
  virtual Task<Health> health() = 0;
};

struct StatusServerOptions {
  io::Endpoint listen;
  std::size_t connections_max = 32;
  std::size_t request_bytes_max = 8192;
  Duration silence_max = seconds(10);
  Duration answer_time_max = seconds(60);
};

class StatusServer {
 public:
  static constexpr std::size_t kPieceBytes = 128u << 10;

  /// Listens from now on. kAddressInUse.
  static Result<std::unique_ptr<StatusServer>> start(io::Environment environment,
                                                     StatusServerOptions options,
                                                     std::shared_ptr<Pages> pages);
  /// Closes everything. A page that is being read ends by itself.
  ~StatusServer();

  io::Endpoint local() const;

 private:
  class State;
  explicit StatusServer(std::shared_ptr<State> state);

  /// Shared with the tasks on the scheduler, which may end after this object.
  std::shared_ptr<State> state_;
};

}  // namespace onceflow::console
