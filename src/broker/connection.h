// Connection: one client. Reads frames, hands them on in their order, and sends the answers in the
// same order. Owned by Server, on the broker's thread.
//
// Bounds: a request takes at most request_bytes_max, and memory grows with the bytes that have
// come, never with the length that was announced; requests in flight and bytes of unsent answers
// have limits beyond which nothing more is read; a half request and silence, or idleness, ends in
// closing.
//
// States: open -> closing (close()) -> finished, when the last callback of the socket has come.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/time.h"
#include "broker/buffer_pool.h"
#include "broker/memory_budget.h"
#include "broker/request.h"
#include "io/network.h"
#include "io/scheduler.h"

namespace onceflow::broker {

struct ServerOptions {
  io::Endpoint listen{"127.0.0.1", 9092};
  std::size_t connection_count_max = 10'000;   ///< Kafka's max.connections
  std::size_t request_bytes_max = 100u << 20;  ///< Kafka's socket.request.max.bytes
  std::size_t requests_in_flight_max = 1000;   ///< of one connection
  std::size_t unsent_bytes_max = 64u << 20;    ///< of one connection; one more answer fits
  /// Of requests and answers of all connections; two more requests fit.
  std::size_t memory_bytes_max = 512u << 20;
  std::size_t spare_buffer_bytes_max = 8u << 20;  ///< kept for the next large request
  Duration idle_max = std::chrono::minutes(10);   ///< Kafka's connections.max.idle.ms
  Duration half_request_silence_max = seconds(30);
};

struct ServerStatistics {
  std::uint64_t accepted = 0;
  std::uint64_t refused = 0;  ///< connection_count_max
  std::uint64_t closed_garbage = 0;
  std::uint64_t closed_silent = 0;
  std::uint64_t received_bytes = 0;
  std::uint64_t sent_bytes = 0;
  std::size_t open_connections = 0;
  std::size_t memory_bytes = 0;
};

/// What the connections of one server share.
struct ConnectionShared {
  io::Scheduler& scheduler;
  const ServerOptions& options;
  RequestHandler& handler;
  MemoryBudget memory;
  BufferPool spare_buffers;  ///< for requests that are larger than a connection's own buffer
  ServerStatistics statistics;
  /// Flush this connection when the journal is durable up to there.
  std::function<void(JournalPosition, ConnectionNumber)> flush_when_durable;
  /// Handle this connection's input again when the journal is not full any more.
  std::function<void(ConnectionNumber)> resume_when_not_full;
  /// It is finished: destroy it, in a turn of its own.
  std::function<void(ConnectionNumber)> finished;
};

class Connection {
 public:
  Connection(ConnectionShared& shared, ConnectionNumber number,
             std::unique_ptr<io::Connection> socket);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void start();
  /// The answer to a request whose handling said kLater; in any order.
  void complete(std::uint64_t slot_number, Reply reply);
  /// Sends what may leave.
  void flush();
  /// Goes on with what was held back for want of memory or room in the journal.
  void resume();
  /// Reads nothing more; closes when the answers that wait for the journal alone have been sent.
  void drain();
  void close();
  /// Closes if it has been silent for too long.
  void close_if_silent(MonotonicTime now);

 private:
  struct Slot {
    Reply reply;
    MonotonicTime received;
    std::size_t request_bytes = 0;
    bool is_complete = false;
  };

  void read_more();
  void on_read(Result<std::size_t> count);
  void handle_input();
  bool handle_one();
  void handle_request(ByteView frame);
  bool make_room();
  void enlarge_input(std::size_t capacity);
  void give_back_large_input();
  void account_completed(Slot& slot);
  bool front_may_leave(JournalPosition durable) const;
  void add_parts(const Reply& reply);
  void on_written(Status status);
  void finish_if_idle();
  std::size_t slot_count() const { return slots_.size() - first_slot_; }
  std::size_t input_bytes() const { return input_end_ - input_begin_; }

  ConnectionShared& shared_;
  const ConnectionNumber number_;
  std::unique_ptr<io::Connection> socket_;
  std::string client_host_;
  MemoryBudget::Share memory_;

  Buffer input_;
  Buffer small_input_;  // while input_ is a larger one
  std::size_t input_begin_ = 0;
  std::size_t input_end_ = 0;

  std::vector<Slot> slots_;  // those from first_slot_ on are in flight, in the order of requests
  std::size_t first_slot_ = 0;
  std::uint64_t first_slot_number_ = 0;
  std::size_t unsent_bytes_ = 0;

  std::vector<Reply> writing_;  // stay in place until on_written
  std::vector<ByteView> parts_;
  std::size_t writing_bytes_ = 0;

  MonotonicTime last_read_;
  MonotonicTime last_progress_;
  bool reading_ = false;
  bool write_under_way_ = false;
  bool handling_ = false;
  bool waits_for_journal_ = false;
  bool draining_ = false;
  bool closing_ = false;
  bool finished_ = false;
};

}  // namespace onceflow::broker
