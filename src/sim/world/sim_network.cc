#include "sim/world/sim_network.h"

#include <algorithm>

#include "sim/world/sim_world.h"

namespace onceflow::sim {

namespace {

// How much a sender may have under way and unread before its writes wait.
constexpr std::size_t kWindowBytes = 256 * 1024;
constexpr std::size_t kLinksBeforeSweep = 64;

// What a side that is not told learns from its own timeouts at last.
constexpr Duration kLateNoticeMin = seconds(5);
constexpr Duration kLateNoticeMax = seconds(60);

std::unexpected<Error> connection_lost(const io::Endpoint& peer, std::string_view why) {
  return fail(ErrorCode::kConnectionLost,
              "connection with " + to_string(peer) + ": " + std::string(why), Recovery::kRetriable);
}

std::unexpected<Error> cancelled() {
  return fail(ErrorCode::kCancelled, "the connection was closed on our side");
}

io::Endpoint on_machine(io::Endpoint endpoint, const SimMachine& own) {
  if (endpoint.host.empty() || endpoint.host == "0.0.0.0" || endpoint.host == "localhost" ||
      endpoint.host == "127.0.0.1") {
    endpoint.host = own.name;
  }
  return endpoint;
}

class SimConnection final : public io::Connection {
 public:
  SimConnection(std::shared_ptr<Link> link, LinkEnd& end) : link_(std::move(link)), end_(end) {}
  ~SimConnection() override { close(); }

  void async_read(MutableByteView destination,
                  Callback<void(Result<std::size_t>)> callback) override {
    fabric().read(link_, end_, destination, std::move(callback));
  }
  void async_write(std::span<const ByteView> parts, Callback<void(Status)> callback) override {
    fabric().write(link_, end_, parts, std::move(callback));
  }
  void cancel_read() override { fabric().cancel_read(link_, end_); }
  void close() override { fabric().close(link_, end_); }
  io::Endpoint peer() const override {
    return &end_ == &link_->connector ? link_->acceptor_address : link_->connector_address;
  }
  std::uint64_t taken_bytes() const override {
    return end_.written_bytes - end_.outgoing_bytes - link_->other(end_).unread_bytes();
  }

 private:
  NetworkFabric& fabric() { return end_.process->world().fabric(); }

  std::shared_ptr<Link> link_;
  LinkEnd& end_;
};

class SimListener final : public io::Listener {
 public:
  explicit SimListener(std::shared_ptr<SimListenerState> state) : state_(std::move(state)) {}
  ~SimListener() override { close(); }

  void async_accept(ConnectionCallback callback) override {
    state_->process->world().fabric().accept(state_, std::move(callback));
  }
  io::Endpoint local() const override { return state_->local; }
  void close() override { state_->process->world().fabric().close(state_); }

 private:
  std::shared_ptr<SimListenerState> state_;
};

}  // namespace

struct NetworkFabric::Attempt {
  SimProcess* process = nullptr;
  io::Endpoint endpoint;
  MonotonicTime deadline;
  ConnectionCallback callback;
};

Result<std::shared_ptr<SimListenerState>> NetworkFabric::listen(SimProcess& process,
                                                                io::Endpoint endpoint) {
  endpoint = on_machine(std::move(endpoint), process.machine());
  if (endpoint.port == 0) {
    endpoint.port = next_port_++;
  }
  auto state = std::make_shared<SimListenerState>();
  state->process = &process;
  state->local = endpoint;
  if (!process.is_running()) {
    state->is_open = false;
    return state;
  }
  if (!listeners_.emplace(endpoint, state).second) {
    return fail(ErrorCode::kAddressInUse, to_string(endpoint) + " is in use by another process");
  }
  return state;
}

void NetworkFabric::accept(const std::shared_ptr<SimListenerState>& listener,
                           ConnectionCallback callback) {
  CHECK(!listener->accept_callback);
  listener->accept_callback = std::move(callback);
  hand_over(listener);
}

void NetworkFabric::hand_over(const std::shared_ptr<SimListenerState>& listener) {
  if (!listener->accept_callback || (listener->is_open && listener->backlog.empty())) {
    return;
  }
  world_.schedule(listener->process, world_.now(), EventKind::kNetwork, [listener] {
    if (!listener->accept_callback || (listener->is_open && listener->backlog.empty())) {
      return;
    }
    auto callback = std::exchange(listener->accept_callback, nullptr);
    if (!listener->is_open) {
      callback(cancelled());
      return;
    }
    const std::shared_ptr<Link> link = std::move(listener->backlog.front());
    listener->backlog.pop_front();
    callback(std::make_unique<SimConnection>(link, link->acceptor));
  });
}

void NetworkFabric::close(const std::shared_ptr<SimListenerState>& listener) {
  if (!std::exchange(listener->is_open, false)) {
    return;
  }
  listeners_.erase(listener->local);
  for (const std::shared_ptr<Link>& link : std::exchange(listener->backlog, {})) {
    close(link, link->acceptor);
  }
  hand_over(listener);
}

void NetworkFabric::connect(SimProcess& process, io::Endpoint endpoint, MonotonicTime deadline,
                            ConnectionCallback callback) {
  if (!process.is_running()) {
    return;
  }
  auto attempt = std::make_shared<Attempt>();
  attempt->process = &process;
  attempt->endpoint = on_machine(std::move(endpoint), process.machine());
  attempt->deadline = deadline;
  attempt->callback = std::move(callback);
  world_.schedule(nullptr, world_.now() + draw_latency(), EventKind::kNetwork,
                  [this, attempt] { try_to_connect(attempt); });
}

void NetworkFabric::try_to_connect(const std::shared_ptr<Attempt>& attempt) {
  SimProcess& process = *attempt->process;
  if (!process.is_running()) {
    attempt->callback = nullptr;
    return;
  }
  const auto too_late = [&] {
    finish_connect(attempt, std::max(attempt->deadline, world_.now()),
                   fail(ErrorCode::kTimedOut,
                        "no connection with " + to_string(attempt->endpoint) + " in time",
                        Recovery::kRetriable));
  };
  const MonotonicTime answer_time = world_.now() + draw_latency();
  if (answer_time > attempt->deadline) {
    too_late();
    return;
  }
  const auto found = listeners_.find(attempt->endpoint);
  if (found == listeners_.end()) {
    finish_connect(attempt, answer_time, connection_lost(attempt->endpoint, "refused"));
    return;
  }
  const std::shared_ptr<SimListenerState> listener = found->second;
  if (world_.is_partitioned(process.machine(), listener->process->machine())) {
    too_late();
    return;
  }
  if (world_.random().happens(world_.faults().connect_fails)) {
    if (world_.random().coin()) {
      too_late();
    } else {
      finish_connect(attempt, answer_time, connection_lost(attempt->endpoint, "reset"));
    }
    return;
  }
  auto link = std::make_shared<Link>();
  link->connector.process = &process;
  link->acceptor.process = listener->process;
  link->connector_address = {process.machine().name, next_port_++};
  link->acceptor_address = attempt->endpoint;
  forget_closed_links();
  links_.push_back(link);
  listener->backlog.push_back(link);
  hand_over(listener);
  finish_connect(attempt, answer_time, std::make_unique<SimConnection>(link, link->connector));
}

void NetworkFabric::finish_connect(const std::shared_ptr<Attempt>& attempt, MonotonicTime time,
                                   Result<std::unique_ptr<io::Connection>> result) {
  world_.schedule(
      attempt->process, time, EventKind::kNetwork,
      [attempt, outcome = std::move(result)]() mutable { attempt->callback(std::move(outcome)); });
}

void NetworkFabric::read(const std::shared_ptr<Link>& link, LinkEnd& end,
                         MutableByteView destination,
                         Callback<void(Result<std::size_t>)> callback) {
  CHECK(!end.read_callback);
  CHECK(!destination.empty());
  end.read_callback = std::move(callback);
  end.read_destination = destination;
  serve_read(link, end);
}

void NetworkFabric::cancel_read(const std::shared_ptr<Link>& link, LinkEnd& end) {
  CHECK(!end.write_callback);
  if (end.read_callback) {
    end.read_is_cancelled = true;
    serve_read(link, end);
  }
}

void NetworkFabric::serve_read(const std::shared_ptr<Link>& link, LinkEnd& end) {
  const bool is_ready = !end.is_open || end.is_reset || end.has_ended || end.read_is_cancelled ||
                        end.unread_bytes() > 0;
  if (end.read_callback && is_ready && !std::exchange(end.read_is_scheduled, true)) {
    world_.schedule(end.process, world_.now(), EventKind::kNetwork,
                    [this, link, &end] { finish_read(link, end); });
  }
}

void NetworkFabric::finish_read(const std::shared_ptr<Link>& link, LinkEnd& end) {
  end.read_is_scheduled = false;
  const bool is_cancelled = std::exchange(end.read_is_cancelled, false);
  auto callback = std::exchange(end.read_callback, nullptr);
  if (!end.is_open ||
      (is_cancelled && !end.is_reset && !end.has_ended && end.unread_bytes() == 0)) {
    callback(cancelled());
  } else if (end.is_reset) {
    callback(connection_lost(link->acceptor_address, "reset by peer"));
  } else if (end.unread_bytes() == 0) {
    callback(std::size_t{0});
  } else {
    std::size_t count = std::min(end.unread_bytes(), end.read_destination.size());
    if (world_.random().happens({1, 8})) {
      count = world_.random().between(1, count);
    }
    std::memcpy(end.read_destination.data(), end.received.data() + end.read_position, count);
    end.read_position += count;
    if (end.unread_bytes() == 0) {
      end.received.clear();
      end.read_position = 0;
    }
    world_.log().mix(count);
    serve_write(link, link->other(end));
    callback(count);
  }
}

void NetworkFabric::write(const std::shared_ptr<Link>& link, LinkEnd& end,
                          std::span<const ByteView> parts, Callback<void(Status)> callback) {
  if (!end.process->is_running()) {
    return;
  }
  CHECK(!end.write_callback);
  end.write_callback = std::move(callback);
  if (end.is_open && !end.is_reset && !link->is_broken) {
    SimRandom& random = world_.random();
    const Faults& faults = world_.faults();
    LinkEnd::Chunk chunk;
    for (const ByteView part : parts) {
      append(chunk.bytes, part);
    }
    world_.log().mix(chunk.bytes.size());
    if (&end == &link->acceptor && random.happens(faults.reply_lost)) {
      world_.note(end.process->name(), "fault: a reply is lost with its connection");
      chunk.bytes.clear();
      chunk.then = LinkEnd::Chunk::Then::kBreak;
    } else if (random.happens(faults.connection_cut)) {
      world_.note(end.process->name(), "fault: a connection is cut");
      chunk.bytes.resize(random.between(0, chunk.bytes.size()));
      chunk.then = LinkEnd::Chunk::Then::kBreak;
    }
    end.written_bytes += chunk.bytes.size();
    send(link, end, std::move(chunk));
  }
  serve_write(link, end);
}

void NetworkFabric::send(const std::shared_ptr<Link>& link, LinkEnd& from, LinkEnd::Chunk chunk) {
  MonotonicTime earliest = world_.now();
  if (!from.outgoing.empty()) {
    earliest = std::max(earliest, from.outgoing.back().arrival);
  }
  // Sometimes in two pieces: whoever takes an arrival for a message is wrong.
  if (chunk.bytes.size() > 1 && world_.random().happens({1, 8})) {
    const std::size_t first_bytes = world_.random().between(1, chunk.bytes.size() - 1);
    LinkEnd::Chunk first;
    first.bytes = to_buffer(ByteView(chunk.bytes).first(first_bytes));
    chunk.bytes.erase(chunk.bytes.begin(),
                      chunk.bytes.begin() + static_cast<std::ptrdiff_t>(first_bytes));
    earliest += draw_latency();
    first.arrival = earliest;
    from.outgoing_bytes += first_bytes;
    from.outgoing.push_back(std::move(first));
  }
  chunk.arrival = earliest + draw_latency();
  from.outgoing_bytes += chunk.bytes.size();
  from.outgoing.push_back(std::move(chunk));
  schedule_pump(link, from);
}

void NetworkFabric::schedule_pump(const std::shared_ptr<Link>& link, LinkEnd& from) {
  if (!from.outgoing.empty() && !std::exchange(from.pump_is_scheduled, true)) {
    world_.schedule(nullptr, from.outgoing.front().arrival, EventKind::kNetwork,
                    [this, link, &from] { pump(link, from); });
  }
}

void NetworkFabric::pump(const std::shared_ptr<Link>& link, LinkEnd& from) {
  from.pump_is_scheduled = false;
  if (from.outgoing.empty()) {
    return;
  }
  LinkEnd& to = link->other(from);
  if (world_.is_partitioned(from.process->machine(), to.process->machine())) {
    from.outgoing.front().arrival = world_.now() + milliseconds(world_.random().between(10, 200));
    schedule_pump(link, from);
    return;
  }
  const LinkEnd::Chunk chunk = std::move(from.outgoing.front());
  from.outgoing.pop_front();
  from.outgoing_bytes -= chunk.bytes.size();
  if (!to.is_open) {
    // As the operating system answers what comes for a closed socket.
    from.drop_outgoing();
    if (from.is_open && !chunk.bytes.empty()) {
      reset_after(link, from, draw_latency());
    }
    return;
  }
  append(to.received, chunk.bytes);
  if (chunk.then == LinkEnd::Chunk::Then::kBreak) {
    break_link(link);
  } else if (chunk.then == LinkEnd::Chunk::Then::kEnd) {
    to.has_ended = true;
  }
  serve_read(link, to);
  serve_write(link, from);
  schedule_pump(link, from);
}

void NetworkFabric::serve_write(const std::shared_ptr<Link>& link, LinkEnd& end) {
  if (!end.write_callback) {
    return;
  }
  // What is written to a broken connection goes into the sender's buffer, as if all were well.
  const std::size_t under_way = end.outgoing_bytes + link->other(end).unread_bytes();
  if (!end.is_open || end.is_reset || link->is_broken || under_way <= kWindowBytes) {
    world_.schedule(end.process, world_.now(), EventKind::kNetwork,
                    [link, &end, callback = std::exchange(end.write_callback, nullptr)]() mutable {
                      if (!end.is_open) {
                        callback(cancelled());
                      } else if (end.is_reset) {
                        callback(connection_lost(link->acceptor_address, "reset by peer"));
                      } else {
                        callback(Status{});
                      }
                    });
  }
}

void NetworkFabric::break_link(const std::shared_ptr<Link>& link) {
  if (std::exchange(link->is_broken, true)) {
    return;
  }
  SimRandom& random = world_.random();
  const bool half_open = random.happens(world_.faults().half_open);
  const std::uint64_t who_is_late = half_open ? random.between(1, 3) : 0;
  for (LinkEnd* const end : {&link->connector, &link->acceptor}) {
    end->drop_outgoing();
    const bool is_late = (who_is_late & (end == &link->connector ? 1U : 2U)) != 0;
    reset_after(link, *end,
                is_late ? random.between(kLateNoticeMin, kLateNoticeMax) : draw_latency());
  }
}

void NetworkFabric::reset_after(const std::shared_ptr<Link>& link, LinkEnd& end, Duration delay) {
  world_.schedule(nullptr, world_.now() + delay, EventKind::kNetwork,
                  [this, link, &end] { notice(link, end); });
}

void NetworkFabric::notice(const std::shared_ptr<Link>& link, LinkEnd& end) {
  end.is_reset = true;
  end.drop_outgoing();
  serve_read(link, end);
  serve_write(link, end);
}

void NetworkFabric::close(const std::shared_ptr<Link>& link, LinkEnd& end) {
  if (!std::exchange(end.is_open, false)) {
    return;
  }
  if (!link->is_broken && !end.is_reset) {
    LinkEnd::Chunk last;
    last.then = LinkEnd::Chunk::Then::kEnd;
    send(link, end, std::move(last));
  }
  serve_read(link, end);
  serve_write(link, end);
}

void NetworkFabric::process_ended(SimProcess& process, bool machine_went_down) {
  std::vector<ConnectionCallback> dropped_accepts;
  for (auto place = listeners_.begin(); place != listeners_.end();) {
    if (place->second->process == &process) {
      const std::shared_ptr<SimListenerState> listener = place->second;
      place = listeners_.erase(place);
      listener->is_open = false;
      dropped_accepts.push_back(std::exchange(listener->accept_callback, nullptr));
      for (const std::shared_ptr<Link>& link : std::exchange(listener->backlog, {})) {
        close(link, link->acceptor);
      }
    } else {
      ++place;
    }
  }
  SimRandom& random = world_.random();
  // Destroyed last: what callbacks own may be connections, which come back here.
  std::vector<Callback<void(Result<std::size_t>)>> dropped_reads;
  std::vector<Callback<void(Status)>> dropped_writes;
  const std::vector<std::shared_ptr<Link>> links = links_;
  for (const std::shared_ptr<Link>& link : links) {
    for (LinkEnd* const end : {&link->connector, &link->acceptor}) {
      if (end->process != &process || !end->is_open) {
        continue;
      }
      dropped_reads.push_back(std::exchange(end->read_callback, nullptr));
      dropped_writes.push_back(std::exchange(end->write_callback, nullptr));
      LinkEnd& peer = link->other(*end);
      if (machine_went_down || random.coin()) {
        end->is_open = false;
        end->drop_outgoing();
        link->is_broken = true;
        const bool learns_late = machine_went_down && random.coin();
        reset_after(link, peer,
                    learns_late ? random.between(kLateNoticeMin, kLateNoticeMax) : draw_latency());
      } else {
        close(link, *end);
      }
    }
  }
  forget_closed_links();
}

Duration NetworkFabric::draw_latency() {
  return world_.random().between(world_.faults().latency_min, world_.faults().latency_max);
}

void NetworkFabric::forget_closed_links() {
  if (links_.size() >= kLinksBeforeSweep) {
    std::erase_if(links_, [](const std::shared_ptr<Link>& link) {
      return !link->connector.is_open && !link->acceptor.is_open;
    });
  }
}

Result<std::unique_ptr<io::Listener>> SimNetwork::listen(const io::Endpoint& endpoint) {
  auto state = process_.world().fabric().listen(process_, endpoint);
  RETURN_IF_ERROR(state);
  return std::make_unique<SimListener>(std::move(*state));
}

void SimNetwork::async_connect(const io::Endpoint& endpoint, MonotonicTime deadline,
                               ConnectionCallback callback) {
  process_.world().fabric().connect(process_, endpoint, deadline, std::move(callback));
}

}  // namespace onceflow::sim
