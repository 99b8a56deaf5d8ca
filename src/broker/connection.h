// Connection: one client. Reads frames, hands them on in their order, and sends the answers in the
// same order. Owned by Server, on the broker's thread.
//
// Bounds: a request takes at most request_bytes_max; its memory is granted by the budget
// (memory_budget.h) as its bytes arrive, never by the length that was announced. Requests in flight
// and bytes of unsent answers have limits beyond which nothing more is read; a half request and
// silence, or idleness, ends in closing.
//
// What it reads to: an idle connection has a few hundred bytes; what is longer brings a buffer for
// many requests of the usual size; one that is longer still brings its own, until it has been
// handled. An idle connection gives its buffer back (shrink_if_idle).
//
// Requests of one connection are handled in slices of time, and after one that is held by longer
// work (kHeld) none is until that is over.
//
// States: open -> closing (close()) -> finished, when the last callback of the socket has come, and
// the work on its bytes is over.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/seeded_bug.h"
#include "base/time.h"
#include "broker/buffer_pool.h"
#include "broker/large_answers.h"
#include "broker/memory_budget.h"
#include "broker/memory_relief.h"
#include "broker/request.h"
#include "io/network.h"
#include "io/scheduler.h"

namespace onceflow::broker {

struct ServerOptions {
  io::Endpoint listen{"127.0.0.1", 9092};
  std::size_t connection_count_max = 10'000;   ///< Kafka's max.connections
  std::size_t request_bytes_max = 100u << 20;  ///< Kafka's socket.request.max.bytes
  std::size_t requests_in_flight_max = 1000;   ///< of one connection
  std::size_t unsent_bytes_max = 16u << 20;    ///< of one connection; one more answer fits
  /// Of requests and answers of all connections together, and of what the journal has buffered.
  std::size_t memory_bytes_max = 160u << 20;
  std::size_t spare_buffer_bytes_max = 8u << 20;  ///< kept for the next large request
  Duration idle_max = std::chrono::minutes(10);   ///< Kafka's connections.max.idle.ms
  Duration half_request_silence_max = seconds(30);
  /// Silence that is held against a half request, or a reader, while others wait for memory.
  Duration memory_patience = seconds(1);
  /// Without a request for so long, a connection gives its buffer back.
  Duration idle_buffer_max = seconds(2);
  SeededBug seeded_bug = SeededBug::kNone;
  /// Something an operator should read. May be empty.
  std::function<void(const std::string&)> on_notice;
  /// Gives memory that was freed in small pieces back to the system. May be empty.
  std::function<void()> return_free_memory;
};

struct ServerStatistics {
  std::uint64_t accepted = 0;
  std::uint64_t refused = 0;  ///< connection_count_max
  std::uint64_t closed_garbage = 0;
  std::uint64_t closed_silent = 0;
  std::uint64_t closed_without_memory = 0;  ///< the system had none left for a request
  std::array<std::uint64_t, kClosedForMemoryCount> closed_for_memory{};  ///< by ClosedForMemory
  std::uint64_t received_bytes = 0;
  std::uint64_t sent_bytes = 0;
  std::size_t open_connections = 0;
  std::size_t memory_bytes = 0;
  std::size_t memory_bytes_max = 0;
  std::size_t memory_waiting = 0;  ///< connections that wait for memory
  Duration memory_waited{};        ///< since when there always was one
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
  /// Others wait for their turn already, who has sent something now comes after them.
  std::function<bool()> others_are_first;
  /// Handle this connection's input again when others have had their turn.
  std::function<void(ConnectionNumber)> resume_soon;
  /// Handle this connection's input again when the journal is not full any more.
  std::function<void(ConnectionNumber)> resume_when_not_full;
  /// A request of so many bytes was announced, which is more than is taken.
  std::function<void(std::size_t)> too_large;
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
  /// The work on a request whose handling said kHeld is over; the connection goes on after it.
  void finish_held(std::uint64_t slot_number, Disposition disposition, Reply reply);
  /// False: it is going, and what its client has sent must not take effect any more (KAFKA-17754).
  bool is_open() const { return !closing_; }
  /// Sends what may leave.
  void flush();
  /// Goes on with what was held back for want of memory or room in the journal.
  void resume();
  /// It reads nothing, for want of slots, or of answers that have left; or of memory, and there may
  /// be some.
  bool is_held_back() const {
    return !reading_ && !waits_for_journal_ && !closing_ && memory_.may_try();
  }
  /// What has come of requests that have not been handled.
  std::size_t unhandled_bytes() const { return input_bytes(); }
  /// Reads nothing more; closes when the answers that wait for the journal alone have been sent.
  void drain();
  void close();
  /// There is no memory for one of its answers.
  void close_without_memory();
  /// Closes if it has been silent for too long.
  void close_if_silent(MonotonicTime now);
  /// An idle one keeps no buffer. Gives the bytes that come free with it.
  std::size_t shrink_if_idle(MonotonicTime now);
  /// What it holds, and since when nothing of it has moved; to be asked about once a second at
  /// least while memory is short.
  MemoryHolder observe(MonotonicTime now);
  /// Counts it as closed for want of memory, and closes.
  void close_for_memory(ClosedForMemory reason);

  /// Memory for the answer that is being made: all of `bytes`, or nothing; given back, and the
  /// answer counted instead, when it is complete.
  bool take_for_answer(std::size_t bytes);
  /// As much as there is, at most `bytes`; may be 0.
  std::size_t take_for_answer_up_to(std::size_t bytes);
  /// What it holds, beside what it may.
  LargeAnswers::Backlog backlog() const;
  /// The answer is not made now.
  void undo_for_answer() { memory_.undo(std::exchange(answer_granted_bytes_, 0)); }

 private:
  struct Slot {
    Reply reply;
    MonotonicTime received;
    std::size_t kept_bytes = 0;  // by a request that waits
    bool is_complete = false;
  };

  void read_more();
  void on_read(Result<std::size_t> count);
  void handle_input();
  void handle_input_in_turn();
  bool handle_one();
  Disposition handle_request(ByteView frame);
  Disposition hand_over(const Request& request, Reply& reply);
  void settle(std::uint64_t slot_number, Disposition disposition, Reply reply,
              std::size_t frame_bytes);
  bool may_go_on();
  bool make_room();
  bool enlarge_input(std::size_t frame_bytes);
  bool grant_input(std::size_t frame_bytes);
  /// What of a request of this length is taken into the journal, beside where it lies here.
  std::size_t copied_bytes(std::size_t frame_bytes) const;
  void replace_input(Buffer other);
  void give_back_input(std::size_t capacity);
  std::size_t request_bytes_max() const;
  bool is_known_api() const;
  std::size_t read_end() const;
  static std::size_t memory_of(const Reply& reply);
  void account_completed(Slot& slot);
  bool front_may_leave(JournalPosition durable) const;
  void add_parts(const Reply& reply);
  void on_written(Status status);
  void finish_if_idle();
  Slot& slot_of(std::uint64_t slot_number);
  std::size_t slot_count() const { return slots_.size() - first_slot_; }
  std::size_t input_bytes() const { return input_end_ - input_begin_; }
  /// The rest of it has not come; what is held has come whole.
  bool has_half_request() const { return reading_ && input_bytes() > 0 && held_count_ == 0; }

  ConnectionShared& shared_;
  const ConnectionNumber number_;
  std::unique_ptr<io::Connection> socket_;
  std::string client_host_;
  MemoryBudget::Share memory_;

  Buffer input_;
  std::size_t input_begin_ = 0;
  std::size_t input_end_ = 0;
  std::size_t granted_bytes_ = 0;         // of input_: so far it is counted, and may be read to
  std::size_t answer_granted_bytes_ = 0;  // for the answer that is being made

  std::vector<Slot> slots_;  // those from first_slot_ on are in flight, in the order of requests
  std::size_t first_slot_ = 0;
  std::uint64_t first_slot_number_ = 0;
  std::size_t unsent_bytes_ = 0;  // with what their places take

  std::vector<Reply> writing_;  // stay in place until on_written
  std::vector<ByteView> parts_;
  std::size_t writing_bytes_ = 0;

  MonotonicTime last_read_;
  MonotonicTime last_progress_;
  std::uint64_t received_bytes_ = 0;
  // What observe() saw.
  std::uint64_t observed_taken_bytes_ = 0;
  struct {
    MonotonicTime since;
    std::uint64_t moved_bytes = 0;
    bool is_set = false;
  } window_;
  bool reading_ = false;
  bool write_under_way_ = false;
  bool handling_ = false;
  std::size_t held_count_ = 0;         // requests that are worked on off the loop: one at most
  std::size_t held_copied_bytes_ = 0;  // granted for what the journal will copy of them
  bool waits_for_journal_ = false;
  bool shrinking_ = false;
  bool draining_ = false;
  bool closing_ = false;
  bool finished_ = false;
};

}  // namespace onceflow::broker
