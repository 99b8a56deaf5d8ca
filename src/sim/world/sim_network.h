// The simulated network. NetworkFabric: all listeners and connections of a world. SimNetwork: the
// io::Network of one process on it.
//
// A host is a machine's name; "", "0.0.0.0", "localhost" and "127.0.0.1" mean one's own machine.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <vector>

#include "io/network.h"

namespace onceflow::sim {

class SimWorld;
class SimProcess;
struct SimMachine;

using ConnectionCallback = Callback<void(Result<std::unique_ptr<io::Connection>>)>;

/// One side of a connection, and what is on its way to the other.
struct LinkEnd {
  SimProcess* process = nullptr;
  bool is_open = true;     ///< not closed by its own process
  bool is_reset = false;   ///< has learned that the connection is broken
  bool has_ended = false;  ///< the other side has closed, and all it sent has come
  Buffer received;
  std::size_t read_position = 0;  // in received
  MutableByteView read_destination;
  Callback<void(Result<std::size_t>)> read_callback;
  bool read_is_scheduled = false;
  bool read_is_cancelled = false;
  std::uint64_t written_bytes = 0;
  Callback<void(Status)> write_callback;

  struct Chunk {
    Buffer bytes;
    MonotonicTime arrival;
    enum class Then : std::uint8_t { kNothing, kEnd, kBreak } then = Then::kNothing;
  };
  std::deque<Chunk> outgoing;
  std::size_t outgoing_bytes = 0;
  bool pump_is_scheduled = false;

  std::size_t unread_bytes() const { return received.size() - read_position; }
  void drop_outgoing() {
    outgoing.clear();
    outgoing_bytes = 0;
  }
};

struct Link {
  LinkEnd connector;
  LinkEnd acceptor;
  io::Endpoint connector_address;
  io::Endpoint acceptor_address;
  bool is_broken = false;

  LinkEnd& other(const LinkEnd& end) { return &end == &connector ? acceptor : connector; }
};

struct SimListenerState {
  SimProcess* process = nullptr;
  io::Endpoint local;
  bool is_open = true;
  ConnectionCallback accept_callback;
  std::deque<std::shared_ptr<Link>> backlog;
};

class NetworkFabric {
 public:
  explicit NetworkFabric(SimWorld& world) : world_(world) {}

  Result<std::shared_ptr<SimListenerState>> listen(SimProcess& process, io::Endpoint endpoint);
  void accept(const std::shared_ptr<SimListenerState>& listener, ConnectionCallback callback);
  void close(const std::shared_ptr<SimListenerState>& listener);

  void connect(SimProcess& process, io::Endpoint endpoint, MonotonicTime deadline,
               ConnectionCallback callback);
  void read(const std::shared_ptr<Link>& link, LinkEnd& end, MutableByteView destination,
            Callback<void(Result<std::size_t>)> callback);
  void write(const std::shared_ptr<Link>& link, LinkEnd& end, std::span<const ByteView> parts,
             Callback<void(Status)> callback);
  void cancel_read(const std::shared_ptr<Link>& link, LinkEnd& end);
  void close(const std::shared_ptr<Link>& link, LinkEnd& end);

  /// Its listeners and connections are gone; `machine_went_down` means that peers may learn late.
  void process_ended(SimProcess& process, bool machine_went_down);

 private:
  struct Attempt;

  void try_to_connect(const std::shared_ptr<Attempt>& attempt);
  void finish_connect(const std::shared_ptr<Attempt>& attempt, MonotonicTime time,
                      Result<std::unique_ptr<io::Connection>> result);
  void hand_over(const std::shared_ptr<SimListenerState>& listener);
  void send(const std::shared_ptr<Link>& link, LinkEnd& from, LinkEnd::Chunk chunk);
  void schedule_pump(const std::shared_ptr<Link>& link, LinkEnd& from);
  void pump(const std::shared_ptr<Link>& link, LinkEnd& from);
  /// Nothing arrives any more; each side that is to learn of it does, soon or late.
  void break_link(const std::shared_ptr<Link>& link);
  void reset_after(const std::shared_ptr<Link>& link, LinkEnd& end, Duration delay);
  void notice(const std::shared_ptr<Link>& link, LinkEnd& end);
  void serve_read(const std::shared_ptr<Link>& link, LinkEnd& end);
  void serve_write(const std::shared_ptr<Link>& link, LinkEnd& end);
  void finish_read(const std::shared_ptr<Link>& link, LinkEnd& end);
  Duration draw_latency();
  void forget_closed_links();

  SimWorld& world_;
  std::map<io::Endpoint, std::shared_ptr<SimListenerState>> listeners_;
  std::vector<std::shared_ptr<Link>> links_;
  std::uint16_t next_port_ = 40000;
};

class SimNetwork final : public io::Network {
 public:
  explicit SimNetwork(SimProcess& process) : process_(process) {}

  Result<std::unique_ptr<io::Listener>> listen(const io::Endpoint& endpoint) override;
  void async_connect(const io::Endpoint& endpoint, MonotonicTime deadline,
                     ConnectionCallback callback) override;

 private:
  SimProcess& process_;
};

}  // namespace onceflow::sim
