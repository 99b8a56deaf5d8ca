// Server: listens, accepts, owns the connections and knows which of them wait for the journal.
// Owned by Broker, on its thread.
//
// It goes only after stop() has finished, or after its scheduler: sockets call back until then.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/rate_limiter.h"
#include "base/result.h"
#include "base/task.h"
#include "broker/connection.h"
#include "broker/large_answers.h"
#include "broker/line.h"
#include "broker/request.h"
#include "io/environment.h"
#include "io/event.h"
#include "io/network.h"

namespace onceflow::broker {

class Server {
 public:
  Server(io::Environment& environment, ServerOptions options, RequestHandler& handler);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Takes the address; kAddressInUse if somebody has it. Nothing is accepted yet.
  Status listen();
  void start();
  /// Where it listens, with the real port.
  io::Endpoint local() const;

  /// The answer to a request whose handling said kLater.
  void complete(const ReplySlot& slot, Reply reply);
  /// See Connection::take_for_answer. Where it may not have it now, the connection is woken when
  /// asking again is worth while: what it sent is handled again, or RequestHandler::on_turn.
  bool take_for_answer(ConnectionNumber connection, std::size_t bytes);
  /// For an answer of at most `bytes` of records: how many there is memory for, may be 0; nullopt
  /// if it is large and others are first: it is woken when its turn has come.
  std::optional<std::size_t> take_for_records(ConnectionNumber connection, std::size_t bytes);
  /// Whether it is its turn to have an answer of so much made; else as take_for_answer: it is woken
  /// when its turn has come.
  bool may_make_answer(ConnectionNumber connection, std::size_t bytes);
  void undo_for_answer(ConnectionNumber connection);
  void close_without_memory(ConnectionNumber connection);
  bool memory_is_short() const { return shared_.memory.is_short(); }
  /// The most that take_for_answer can ever give.
  std::size_t grant_bytes_max() const {
    return shared_.memory.limit_of(MemoryBudget::Rank::kLarge);
  }
  /// No answer takes more, but one of records: a third of what large ones may use.
  std::size_t answer_bytes_max() const {
    return shared_.memory.limit_of(MemoryBudget::Rank::kLarge) / 3;
  }
  /// The end of what kHeld began: the request's disposition after all (not kLater), and its answer.
  void finish_held(const ReplySlot& slot, Disposition disposition, Reply reply);
  /// Whether the client that asked is still there, as far as is known.
  bool is_open(ConnectionNumber number);

  /// Accepts and reads nothing more, sends what only waits for the journal, closes all; at the
  /// latest after `patience`.
  Task<void> stop(Duration patience);

  ServerStatistics statistics() const;

 private:
  void accept_next();
  void on_accepted(Result<std::unique_ptr<io::Connection>> socket);
  Connection* find(ConnectionNumber number);
  void flush_when_durable(JournalPosition position, ConnectionNumber number);
  void arm_durable();
  void on_durable();
  void wake(ConnectionNumber number);
  void resume_soon(ConnectionNumber number);
  void resume_when_not_full(ConnectionNumber number);
  void resume_waiting();
  void resume(ConnectionNumber number);
  void on_finished(ConnectionNumber number);
  void arm_sweep();
  void sweep();
  void shrink_idle_ones(MonotonicTime now);
  void arm_relief();
  void relieve();
  void close_victims(MonotonicTime now);
  void notice_too_large(std::size_t bytes);

  io::Environment& environment_;
  ServerOptions options_;
  ConnectionShared shared_;
  LargeAnswers large_answers_;
  std::unique_ptr<io::Listener> listener_;
  bool accepting_ = false;
  bool stopping_ = false;
  ConnectionNumber last_number_{0};
  std::unordered_map<ConnectionNumber, std::unique_ptr<Connection>> connections_;
  io::Event connection_gone_;

  struct AwaitsJournal {
    JournalPosition position;
    ConnectionNumber connection;
  };
  std::deque<AwaitsJournal> await_journal_;  // by position
  JournalPosition armed_;
  std::vector<ConnectionNumber> await_not_full_;
  /// May go on. By the turn from which on they wait, and by how much they have sent.
  Line<std::uint64_t> woken_;
  std::uint64_t turn_ = 0;
  bool wake_posted_ = false;
  io::TimerId sweep_timer_ = 0;
  io::TimerId relief_timer_ = 0;
  std::size_t freed_by_idle_ones_bytes_ = 0;  ///< since it was last given back to the system
  io::TimerId return_timer_ = 0;
  RateLimiter relief_notices_;
  RateLimiter too_large_notices_;
  std::optional<MonotonicTime> waited_for_memory_since_;
  std::uint64_t freed_bytes_seen_ = 0;
  MonotonicTime freed_at_{};
};

}  // namespace onceflow::broker
