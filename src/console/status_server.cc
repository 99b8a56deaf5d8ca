#include "console/status_server.h"

#include <algorithm>
#include <array>
#include <list>
#include <utility>

#include "io/event.h"

namespace onceflow::console {

namespace {
// Who has not taken what it is sent for as long makes room for others.
constexpr Duration kStalledAfter = milliseconds(250);
}  // namespace

class StatusServer::State {
 public:
  State(io::Environment environment, StatusServerOptions options, std::shared_ptr<Pages> pages)
      : environment_(environment), options_(std::move(options)), pages_(std::move(pages)) {}

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
    for (const Client& client : clients_) {
      client.connection->close();
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
      } else if (self->make_room()) {
        self->environment_.scheduler.spawn(serve(self, std::move(*connection)));
      }
    }
  }

 private:
  struct Client {
    io::Connection* connection = nullptr;
    bool is_waited_for = true;  // it has no request that is whole
    bool is_closing = false;
    bool is_large = false;                     // it is answered with a page that is made for it
    std::optional<MonotonicTime> sends_since;  // what it is sent waits for it
  };
  using Clients = std::list<Client>;  // in the order in which they came

  /// In the list as long as the task that serves it lives, however that ends.
  class Registration {
   public:
    Registration(Clients& clients, io::Connection* connection)
        : clients_(clients), place_(clients.insert(clients.end(), Client{connection})) {}
    ~Registration() { clients_.erase(place_); }
    Registration(const Registration&) = delete;
    Registration& operator=(const Registration&) = delete;
    Client& client() { return *place_; }

   private:
    Clients& clients_;
    Clients::iterator place_;
  };

  /// False: all are being answered.
  bool make_room() {
    const auto closing_count = static_cast<std::size_t>(
        std::ranges::count_if(clients_, [](const Client& client) { return client.is_closing; }));
    if (clients_.size() - closing_count < options_.connections_max) {
      return closing_count < options_.connections_max;
    }
    if (close_slowest()) {
      return true;
    }
    const auto idle = std::ranges::find_if(
        clients_, [](const Client& client) { return client.is_waited_for && !client.is_closing; });
    if (idle == clients_.end()) {
      return false;
    }
    close(*idle);
    return true;
  }

  /// Of those that are answered with a large page: a quarter of the connections is left to probes.
  bool make_room_for_large() {
    const auto large_count = static_cast<std::size_t>(std::ranges::count_if(
        clients_, [](const Client& client) { return client.is_large && !client.is_closing; }));
    return large_count <= options_.connections_max - options_.connections_max / 4 ||
           close_slowest();
  }

  /// Of those that do not take what they are sent the one that does so longest. False: all do.
  bool close_slowest() {
    const MonotonicTime before = environment_.scheduler.now() - kStalledAfter;
    Client* slowest = nullptr;
    for (Client& client : clients_) {
      if (client.sends_since && !client.is_closing && *client.sends_since <= before &&
          (slowest == nullptr || *client.sends_since < *slowest->sends_since)) {
        slowest = &client;
      }
    }
    if (slowest != nullptr) {
      close(*slowest);
    }
    return slowest != nullptr;
  }

  static void close(Client& client) {
    client.is_closing = true;
    client.connection->close();
  }

  static Task<void> serve(std::shared_ptr<State> self, std::unique_ptr<io::Connection> connection) {
    Registration registration(self->clients_, connection.get());
    std::string input;
    bool goes_on = true;
    Client& client = registration.client();
    while (goes_on && !self->is_closed_) {
      client.is_waited_for = true;
      client.is_large = false;
      const ParsedRequest parsed = co_await read_request(*self, *connection, input);
      if (parsed.kind == ParsedRequest::Kind::kIncomplete || self->is_closed_) {
        break;
      }
      client.is_waited_for = false;
      Page page{.response = {.status = 400, .body = "not a request that is answered here\n"},
                .rest = nullptr};
      bool is_refused = parsed.kind != ParsedRequest::Kind::kComplete;
      if (!is_refused) {
        client.is_large = parsed.request.path != "/healthz" && parsed.request.path != "/readyz";
        is_refused = client.is_large && !self->make_room_for_large();
        if (is_refused) {
          page.response = {.status = 503, .body = "too many ask for pages at once\n"};
        } else {
          page = co_await answer(*self, parsed.request);
        }
      }
      const bool is_endless = page.rest != nullptr && !parsed.request.takes_chunks;
      goes_on = !is_refused && parsed.request.keeps_alive && !is_endless;
      if (self->is_closed_ || !co_await send(*self, client, parsed.request, std::move(page))) {
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

  /// The head and the body with the first piece of the rest, then piece by piece. False: the peer
  /// has gone, or does not read.
  static Task<bool> send(State& state, Client& client, HttpRequest request, Page page) {
    if (page.rest == nullptr || request.method == "HEAD") {
      const bool is_chunked = page.rest != nullptr && request.takes_chunks;
      const std::string bytes = is_chunked
                                    ? to_http_head(page.response, request, BodyLength::kChunked)
                                    : to_http(page.response, request);
      co_return (co_await timed_write(state, client, bytes)).has_value();
    }
    const BodyLength length = request.takes_chunks ? BodyLength::kChunked : BodyLength::kToTheClose;
    if (!co_await timed_write(state, client, to_http_head(page.response, request, length))) {
      co_return false;
    }
    const MonotonicTime deadline =
        state.environment_.scheduler.now() + state.options_.answer_time_max;
    std::string piece(kChunkHeadBytes, ' ');
    piece += std::exchange(page.response.body, {});
    bool has_more = true;
    while (has_more) {
      while (has_more && piece.size() < kPieceBytes) {
        has_more = page.rest->append(piece, kPieceBytes - piece.size());
      }
      std::string_view bytes = std::string_view(piece).substr(kChunkHeadBytes);
      if (length == BodyLength::kChunked && !bytes.empty()) {
        frame_chunk(piece);
        bytes = piece;
      }
      if (state.is_closed_ || state.environment_.scheduler.now() > deadline ||
          (!bytes.empty() && !co_await timed_write(state, client, bytes))) {
        co_return false;
      }
      piece.resize(kChunkHeadBytes);
    }
    co_return length == BodyLength::kChunked &&
        (co_await timed_write(state, client, kLastChunk)).has_value();
  }

  static Task<Status> timed_write(State& state, Client& client, std::string_view bytes) {
    io::Scheduler& scheduler = state.environment_.scheduler;
    const io::TimerId timer = scheduler.schedule_after(
        state.options_.silence_max, [connection = client.connection] { connection->close(); });
    client.sends_since = scheduler.now();
    Status written = co_await client.connection->write(as_bytes(bytes));
    client.sends_since.reset();
    scheduler.cancel(timer);
    co_return written;
  }

  static Task<Page> answer(State& state, HttpRequest request) {
    const auto plain = [](int status, std::string body) {
      return Page{.response = {.status = status, .body = std::move(body)}, .rest = nullptr};
    };
    if (request.method != "GET" && request.method != "HEAD") {
      co_return plain(405, "GET and HEAD are all\n");
    }
    // Held: they are needed until they have answered, also if the server goes meanwhile.
    const std::shared_ptr<Pages> pages = state.pages_;
    if (request.path == "/healthz" || request.path == "/readyz") {
      const Health health = co_await pages->health();
      const bool is_well = request.path == "/healthz" ? health.is_alive : health.is_ready;
      co_return plain(is_well ? 200 : 503, health.text);
    }
    if (request.path == "/") {
      co_return plain(200,
                      "onceflow\n/metrics  for Prometheus\n/status   as JSON\n"
                      "/healthz  200 unless a restart would help\n"
                      "/readyz   200 while it does its work\n");
    }
    if (auto page = co_await pages->read(request)) {
      co_return std::move(*page);
    }
    co_return plain(404, "there are /metrics, /status, /healthz and /readyz\n");
  }

  io::Environment environment_;
  StatusServerOptions options_;
  std::shared_ptr<Pages> pages_;
  std::unique_ptr<io::Listener> listener_;
  Clients clients_;
  bool is_closed_ = false;
};

Result<std::unique_ptr<StatusServer>> StatusServer::start(io::Environment environment,
                                                          StatusServerOptions options,
                                                          std::shared_ptr<Pages> pages) {
  auto state = std::make_shared<State>(environment, std::move(options), std::move(pages));
  RETURN_IF_ERROR(state->listen());
  environment.scheduler.spawn(State::accept(state));
  return std::unique_ptr<StatusServer>(new StatusServer(std::move(state)));
}

StatusServer::StatusServer(std::shared_ptr<State> state) : state_(std::move(state)) {}

StatusServer::~StatusServer() { state_->close(); }

io::Endpoint StatusServer::local() const { return state_->local(); }

}  // namespace onceflow::console
