#include "broker/server.h"

#include <algorithm>

namespace onceflow::broker {

Server::Server(io::Environment& environment, ServerOptions options, RequestHandler& handler)
    : environment_(environment),
      options_(std::move(options)),
      shared_{
          .scheduler = environment.scheduler,
          .options = options_,
          .handler = handler,
          .memory = MemoryBudget(options_.memory_bytes_max),
          .spare_buffers = BufferPool(options_.spare_buffer_bytes_max),
          .statistics = {},
          .flush_when_durable =
              [this](JournalPosition position, ConnectionNumber number) {
                flush_when_durable(position, number);
              },
          .resume_when_not_full = [this](ConnectionNumber number) { resume_when_not_full(number); },
          .finished = [this](ConnectionNumber number) { on_finished(number); }},
      connection_gone_(environment.scheduler) {
  shared_.memory.wake = [this](ConnectionNumber number) {
    woken_.push_back(number);
    if (!std::exchange(wake_posted_, true)) {
      environment_.scheduler.post([this] { resume_waiting(); });
    }
  };
}

Server::~Server() {
  stopping_ = true;
  environment_.scheduler.cancel(sweep_timer_);
}

// --- Accepting ---

Status Server::listen() {
  auto listener = environment_.network.listen(options_.listen);
  RETURN_IF_ERROR(listener);
  listener_ = std::move(*listener);
  return {};
}

void Server::start() { accept_next(); }

io::Endpoint Server::local() const {
  return listener_ != nullptr ? listener_->local() : options_.listen;
}

void Server::accept_next() {
  accepting_ = true;
  listener_->async_accept([this](Result<std::unique_ptr<io::Connection>> socket) {
    accepting_ = false;
    on_accepted(std::move(socket));
  });
}

void Server::on_accepted(Result<std::unique_ptr<io::Connection>> socket) {
  if (stopping_) {
    connection_gone_.notify_all();
    return;
  }
  if (!socket) {
    if (socket.error().code != onceflow::ErrorCode::kCancelled) {
      accept_next();
    }
    return;
  }
  if (connections_.size() >= options_.connection_count_max) {
    ++shared_.statistics.refused;
  } else {
    ++shared_.statistics.accepted;
    ++last_number_;
    auto connection = std::make_unique<Connection>(shared_, last_number_, std::move(*socket));
    Connection& started = *connection;
    connections_.emplace(last_number_, std::move(connection));
    arm_sweep();
    started.start();
  }
  accept_next();
}

Connection* Server::find(ConnectionNumber number) {
  const auto found = connections_.find(number);
  return found == connections_.end() ? nullptr : found->second.get();
}

void Server::on_finished(ConnectionNumber number) {
  environment_.scheduler.post([this, number] {
    connections_.erase(number);
    shared_.handler.on_connection_closed(number);
    connection_gone_.notify_all();
  });
}

// --- Answering ---

void Server::complete(const ReplySlot& slot, Reply reply) {
  if (Connection* connection = find(slot.connection)) {
    connection->complete(slot.number, std::move(reply));
  }
}

void Server::flush_when_durable(JournalPosition position, ConnectionNumber number) {
  if (!await_journal_.empty()) {
    const AwaitsJournal& last = await_journal_.back();
    if (last.position == position && last.connection == number) {
      return;
    }
    // The journal's end never goes back, but an answer may wait for less than the one before it.
    position = std::max(position, last.position);
  }
  await_journal_.push_back({position, number});
  arm_durable();
}

void Server::arm_durable() {
  if (!await_journal_.empty() && await_journal_.front().position > armed_) {
    armed_ = await_journal_.front().position;
    shared_.handler.when_durable(armed_, [this] { on_durable(); });
  }
}

void Server::on_durable() {
  const JournalPosition durable = shared_.handler.durable();
  while (!await_journal_.empty() && await_journal_.front().position <= durable) {
    const ConnectionNumber number = await_journal_.front().connection;
    await_journal_.pop_front();
    if (Connection* connection = find(number)) {
      connection->flush();
    }
  }
  arm_durable();
}

// --- Waiting ---

void Server::resume_when_not_full(ConnectionNumber number) {
  await_not_full_.push_back(number);
  if (await_not_full_.size() == 1) {
    shared_.handler.when_not_full([this] {
      for (const ConnectionNumber waiting : std::exchange(await_not_full_, {})) {
        if (Connection* connection = find(waiting)) {
          connection->resume();
        }
      }
    });
  }
}

void Server::resume_waiting() {
  wake_posted_ = false;
  for (const ConnectionNumber number : std::exchange(woken_, {})) {
    if (Connection* connection = find(number)) {
      connection->resume();
    }
  }
}

void Server::arm_sweep() {
  if (sweep_timer_ != 0 || connections_.empty() || stopping_) {
    return;
  }
  const Duration interval =
      std::clamp<Duration>(std::min(options_.idle_max, options_.half_request_silence_max) / 4,
                           milliseconds(10), seconds(5));
  sweep_timer_ = environment_.scheduler.schedule_after(interval, [this] { sweep(); });
}

void Server::sweep() {
  sweep_timer_ = 0;
  const MonotonicTime now = environment_.scheduler.now();
  for (const auto& [number, connection] : connections_) {
    connection->close_if_silent(now);
  }
  arm_sweep();
}

// --- Stopping ---

Task<void> Server::stop(Duration patience) {
  stopping_ = true;
  environment_.scheduler.cancel(std::exchange(sweep_timer_, 0));
  if (listener_ != nullptr) {
    listener_->close();
  }
  for (const auto& [number, connection] : connections_) {
    connection->drain();
  }
  const MonotonicTime deadline = environment_.scheduler.now() + patience;
  while (!connections_.empty() && co_await connection_gone_.wait_until(deadline)) {
  }
  for (const auto& [number, connection] : connections_) {
    connection->close();
  }
  while (!connections_.empty() || accepting_) {
    co_await connection_gone_.wait();
  }
}

ServerStatistics Server::statistics() const {
  ServerStatistics statistics = shared_.statistics;
  statistics.open_connections = connections_.size();
  statistics.memory_bytes = shared_.memory.used_bytes();
  return statistics;
}

}  // namespace onceflow::broker
