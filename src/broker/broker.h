// Broker: the embedded log behind the Kafka protocol. It owns the log, the coordinators and the
// server, wires them, and keeps their one timer. On one scheduler; nothing in it locks, no system
// calls.
//
// start() listens, recovers, and only then accepts: a client that connects meanwhile waits, and
// never hears that something is unknown that is not recovered yet. After stop() has finished, or
// when its scheduler has gone, it may be destroyed.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "base/task.h"
#include "broker/api_table.h"
#include "broker/broker_options.h"
#include "broker/broker_status.h"
#include "broker/core.h"
#include "broker/request.h"
#include "broker/server.h"
#include "broker/status_feed.h"
#include "coordinator/coordinator.h"
#include "io/blocking.h"
#include "io/environment.h"
#include "log/log.h"

namespace onceflow::broker {

class Broker final : private RequestHandler, private log::RecoveryListener {
 public:
  /// `worker` is for work that would keep the scheduler for long.
  Broker(io::Environment environment, std::unique_ptr<io::BlockingThread> worker,
         BrokerOptions options);
  ~Broker() override;
  Broker(const Broker&) = delete;
  Broker& operator=(const Broker&) = delete;

  /// kAddressInUse, kLocked, kCorrupt, kDiskFull, kIo; the text says what to do. Once.
  Task<Status> start();
  /// Answers what waits for the disk alone, closes the connections, writes a last checkpoint.
  Task<Status> stop();

  /// Where it listens, with the real port; after start().
  io::Endpoint local() const { return server_.local(); }
  /// The sums alone.
  BrokerStatus status() const;
  /// Tells what has changed since the last call, and the sums, in pieces (status_feed.h): the last
  /// one says so by its sums. Not before the last call was answered.
  void tell_status(TellStatus tell);
  ServerStatistics server_statistics() const { return server_.statistics(); }

 private:
  // RequestHandler
  Disposition handle(const Request& request, Reply& reply) override;
  bool is_changing() const override { return core_->is_changing; }
  void on_requests_handled() override { arm_timer(); }
  void on_connection_closed(ConnectionNumber connection) override;
  void on_turn(ConnectionNumber connection) override { core_->fetches.on_turn(connection); }
  std::size_t buffered_bytes() const override { return log_->buffered_bytes(); }
  JournalPosition durable() const override { return log_->durable(); }
  void when_durable(JournalPosition position, Callback<void()> callback) override {
    log_->when_durable(position, std::move(callback));
  }
  bool is_full() const override { return log_->is_full(); }
  void when_not_full(Callback<void()> callback) override {
    log_->when_not_full(std::move(callback));
  }

  // log::RecoveryListener
  Status on_snapshot(ByteView snapshot) override;
  Status on_record(ByteView record) override;
  Status on_end_transaction(const log::EndTransaction& end, ByteView record) override;
  void on_topic_deleted(const TopicId& topic) override;

  Status open_log();
  void note_known_producers();
  void arm_timer();
  void on_time();
  std::vector<OpenTransaction> open_transactions() const;
  std::vector<StateUse> state_use() const;

  io::Environment environment_;
  BrokerOptions options_;
  coordinator::Coordinator coordinator_;
  Server server_;
  std::unique_ptr<log::Log> log_;
  std::unique_ptr<BrokerCore> core_;
  std::unique_ptr<StatusFeed> feed_;  // once it has been asked: without a watcher nothing is kept
  MonotonicTime started_;
  io::TimerId timer_ = 0;
  MonotonicTime timer_due_;
  std::unique_ptr<io::BlockingThread> worker_;  // goes first: it reads what connections hold
};

}  // namespace onceflow::broker
