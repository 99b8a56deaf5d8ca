// Server: listens, accepts, owns the connections and knows which of them wait for the journal.
// Owned by Broker, on its thread.
//
// It goes only after stop() has finished, or after its scheduler: sockets call back until then.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/task.h"
#include "broker/connection.h"
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
  /// Bytes that answers may take before the limit is reached.
  std::size_t memory_left_bytes() const { return shared_.memory.left_bytes(); }

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
  void resume_when_not_full(ConnectionNumber number);
  void resume_waiting();
  void on_finished(ConnectionNumber number);
  void arm_sweep();
  void sweep();

  io::Environment& environment_;
  ServerOptions options_;
  ConnectionShared shared_;
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
  std::vector<ConnectionNumber> woken_;  // memory came free
  bool wake_posted_ = false;
  io::TimerId sweep_timer_ = 0;
};

}  // namespace onceflow::broker
