#include "console/status_server.h"

#include <array>
#include <list>
#include <utility>

#include "console/http.h"
#include "io/event.h"

namespace onceflow::console {

class StatusServer::State {
 public:
  State(io::Environment environment, StatusServerOptions options, ReadStatus read_status,
        ReadHealth read_health)
      : environment_(environment),
        options_(std::move(options)),
        read_status_(std::move(read_status)),
        read_health_(std::move(read_health)) {}

  Status listen() {
    auto listener = environment_.network.listen(options_.listen);
    RETURN_IF_ERROR(listener);
    listener_ = std::move(*listener);
    return {};
  }
  io::Endpoint local() const { return listener_->local(); }

  void close() {
    is_closed_ = true;
    listener_->close();
    for (io::Connection* connection : connections_) {
      connection->close();
    }
  }

  static Task<void> accept(std::shared_ptr<State> self) {
    while (!self->is_closed_) {
      auto connection = co_await self->listener_->accept();
      if (self->is_closed_) {
        break;
      }
      if (!connection) {
        // Out of descriptors, for one: trying again at once would only burn time.
        io::Event never(self->environment_.scheduler);
        co_await never.wait_for(milliseconds(100));
      } else if (self->connections_.size() < self->options_.connections_max) {
        self->environment_.scheduler.spawn(serve(self, std::move(*connection)));
      }
    }
  }

 private:
  using Connections = std::list<io::Connection*>;
  /// In the list as long as the task that serves it lives, however that ends.
  class Registration {
   public:
    Registration(Connections& connections, io::Connection* connection)
        : connections_(connections), place_(connections.insert(connections.end(), connection)) {}
    ~Registration() { connections_.erase(place_); }
    Registration(const Registration&) = delete;
    Registration& operator=(const Registration&) = delete;

   private:
    Connections& connections_;
    Connections::iterator place_;
  };

  static Task<void> serve(std::shared_ptr<State> self, std::unique_ptr<io::Connection> connection) {
    const Registration registration(self->connections_, connection.get());
    std::string input;
    bool goes_on = true;
    while (goes_on && !self->is_closed_) {
      const ParsedRequest parsed = co_await read_request(*self, *connection, input);
      if (parsed.kind == ParsedRequest::Kind::kIncomplete || self->is_closed_) {
        break;
      }
      HttpResponse response{.status = 400, .body = "not a request that is answered here\n"};
      if (parsed.kind == ParsedRequest::Kind::kComplete) {
        response = co_await answer(*self, parsed.request);
      }
      goes_on = parsed.kind == ParsedRequest::Kind::kComplete && parsed.request.keeps_alive;
      const std::string bytes = to_http(response, parsed.request);
      if (self->is_closed_ || !co_await timed_write(*self, *connection, bytes)) {
        break;
      }
    }
  }

  /// Incomplete: the peer has gone or was silent for too long.
  static Task<ParsedRequest> read_request(State& state, io::Connection& connection,
                                          std::string& input) {
    const io::TimerId timer = state.environment_.scheduler.schedule_after(
        state.options_.silence_max, [&connection] { connection.close(); });
    std::array<std::byte, 2048> chunk;
    ParsedRequest parsed = parse_http_request(input);
    while (parsed.kind == ParsedRequest::Kind::kIncomplete) {
      if (input.size() >= state.options_.request_bytes_max) {
        parsed.kind = ParsedRequest::Kind::kMalformed;
        break;
      }
      const auto count = co_await connection.read(chunk);
      if (!count || *count == 0) {
        break;
      }
      input += as_text(ByteView(chunk).first(*count));
      parsed = parse_http_request(input);
    }
    state.environment_.scheduler.cancel(timer);
    input.erase(0, parsed.size_bytes);
    co_return parsed;
  }

  static Task<Status> timed_write(State& state, io::Connection& connection,
                                  const std::string& bytes) {
    const io::TimerId timer = state.environment_.scheduler.schedule_after(
        state.options_.silence_max, [&connection] { connection.close(); });
    Status written = co_await connection.write(as_bytes(bytes));
    state.environment_.scheduler.cancel(timer);
    co_return written;
  }

  static Task<HttpResponse> answer(State& state, HttpRequest request) {
    if (request.method != "GET" && request.method != "HEAD") {
      co_return HttpResponse{.status = 405, .body = "GET and HEAD are all\n"};
    }
    if (request.path == "/healthz" || request.path == "/readyz") {
      const Health health = state.read_health_();
      const bool is_well = request.path == "/healthz" ? health.is_alive : health.is_ready;
      co_return HttpResponse{.status = is_well ? 200 : 503, .body = health.text};
    }
    if (request.path == "/metrics" || request.path == "/status") {
      const StatusPage page = co_await state.read_status_();
      if (!page.not_yet.empty()) {
        co_return HttpResponse{.status = 503, .body = page.not_yet + "\n"};
      }
      if (request.path == "/status") {
        co_return HttpResponse{.content_type = "application/json", .body = page.json};
      }
      co_return HttpResponse{.content_type = std::string(kPrometheusContentType),
                             .body = to_prometheus(page.metrics)};
    }
    if (request.path == "/") {
      co_return HttpResponse{.body =
                                 "onceflow\n/metrics  for Prometheus\n/status   as JSON\n"
                                 "/healthz  200 unless a restart would help\n"
                                 "/readyz   200 while it does its work\n"};
    }
    co_return HttpResponse{.status = 404,
                           .body = "there are /metrics, /status, /healthz and /readyz\n"};
  }

  io::Environment environment_;
  StatusServerOptions options_;
  ReadStatus read_status_;
  ReadHealth read_health_;
  std::unique_ptr<io::Listener> listener_;
  Connections connections_;
  bool is_closed_ = false;
};

Result<std::unique_ptr<StatusServer>> StatusServer::start(io::Environment environment,
                                                          StatusServerOptions options,
                                                          ReadStatus read_status,
                                                          ReadHealth read_health) {
  auto state = std::make_shared<State>(environment, std::move(options), std::move(read_status),
                                       std::move(read_health));
  RETURN_IF_ERROR(state->listen());
  environment.scheduler.spawn(State::accept(state));
  return std::unique_ptr<StatusServer>(new StatusServer(std::move(state)));
}

StatusServer::StatusServer(std::shared_ptr<State> state) : state_(std::move(state)) {}

StatusServer::~StatusServer() { state_->close(); }

io::Endpoint StatusServer::local() const { return state_->local(); }

}  // namespace onceflow::console
