#include "broker/server.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "io/time_slice.h"

namespace onceflow::broker {

namespace {
// How often it is looked who is in the way, while somebody waits for memory.
constexpr Duration kReliefInterval = milliseconds(50);
constexpr Duration kReliefNoticeInterval = seconds(10);
// Times the patience: so long nothing comes free before one that waits has to go.
constexpr int kStuckAfter = 5;
constexpr std::size_t kMebibyte = 1u << 20;
// From so much on it is worth a turn of the loop, once the buffers have come free.
constexpr std::size_t kReturnedBytesMin = 4 * kMebibyte;
constexpr Duration kReturnDelay = milliseconds(100);
// Who has sent as much more than another goes on one turn of the loop later.
constexpr std::uint64_t kBytesATurnLater = 128;
constexpr std::uint64_t kTurnsLaterMax = 256;
}  // namespace

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
          .others_are_first = [this] { return !woken_.empty(); },
          .resume_soon = [this](ConnectionNumber number) { resume_soon(number); },
          .resume_when_not_full = [this](ConnectionNumber number) { resume_when_not_full(number); },
          .too_large = [this](std::size_t bytes) { notice_too_large(bytes); },
          .finished = [this](ConnectionNumber number) { on_finished(number); }},
      large_answers_(environment.scheduler, [this](ConnectionNumber number) { resume(number); }),
      connection_gone_(environment.scheduler),
      relief_notices_(1, kReliefNoticeInterval),
      too_large_notices_(1, kReliefNoticeInterval) {
  shared_.memory.seeded_bug = options_.seeded_bug;
  shared_.memory.on_short = [this] {
    if (!waited_for_memory_since_ && shared_.memory.waiting_count() > 0) {
      waited_for_memory_since_ = environment_.scheduler.now();
    }
    arm_relief();
  };
  shared_.memory.wake = [this](ConnectionNumber number) { resume_soon(number); };
}

Server::~Server() {
  stopping_ = true;
  // The connections give back what they hold; nobody is to be woken for it.
  shared_.memory.wake = [](ConnectionNumber) {};
  shared_.memory.on_short = [] {};
  environment_.scheduler.cancel(sweep_timer_);
  environment_.scheduler.cancel(relief_timer_);
  environment_.scheduler.cancel(return_timer_);
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
    large_answers_.forget(number);
    woken_.remove(number);
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

void Server::finish_held(const ReplySlot& slot, Disposition disposition, Reply reply) {
  Connection* const connection = find(slot.connection);
  CHECK(connection != nullptr);  // it does not finish before
  connection->finish_held(slot.number, disposition, std::move(reply));
}

bool Server::is_open(ConnectionNumber number) {
  const Connection* const connection = find(number);
  return connection != nullptr && connection->is_open();
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
  shared_.memory.set_common_bytes(shared_.handler.buffered_bytes());
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
        resume_soon(waiting);
      }
    });
  }
}

// The shortest backlog goes first, but one that has sent more than others only so many turns later.
void Server::wake(ConnectionNumber number) {
  if (const Connection* const connection = find(number)) {
    const std::uint64_t turns =
        std::min(kTurnsLaterMax, connection->unhandled_bytes() / kBytesATurnLater);
    woken_.put(number, turn_ + turns);
  }
}

void Server::resume_soon(ConnectionNumber number) {
  wake(number);
  if (!woken_.empty() && !std::exchange(wake_posted_, true)) {
    environment_.scheduler.post([this] { resume_waiting(); });
  }
}

// Each may handle requests for a slice of time, so those after it may have to come in a later turn.
void Server::resume_waiting() {
  wake_posted_ = false;
  ++turn_;
  const io::TimeSlice slice(environment_.scheduler);
  for (std::size_t left = woken_.size(); left > 0 && !woken_.empty() && !slice.is_over(); --left) {
    resume(woken_.take_first());
  }
  if (!woken_.empty() && !std::exchange(wake_posted_, true)) {
    environment_.scheduler.post([this] { resume_waiting(); });
  }
}

void Server::resume(ConnectionNumber number) {
  if (Connection* connection = find(number)) {
    connection->resume();
    shared_.handler.on_turn(number);
  }
}

bool Server::take_for_answer(ConnectionNumber connection, std::size_t bytes) {
  Connection* const found = find(connection);
  return found != nullptr && found->take_for_answer(bytes);
}

std::optional<std::size_t> Server::take_for_records(ConnectionNumber connection,
                                                    std::size_t bytes) {
  Connection* const found = find(connection);
  if (found == nullptr) {
    return 0;
  }
  if (bytes > LargeAnswers::kLargeBytes &&
      !large_answers_.may_be_made(connection, found->backlog())) {
    return std::nullopt;
  }
  return found->take_for_answer_up_to(std::min(bytes, LargeAnswers::kBytesMax));
}

bool Server::may_make_answer(ConnectionNumber connection, std::size_t bytes) {
  const Connection* const found = find(connection);
  return found == nullptr || bytes <= LargeAnswers::kLargeDescriptionBytes ||
         large_answers_.may_be_made(connection, found->backlog());
}

void Server::close_without_memory(ConnectionNumber connection) {
  if (Connection* const found = find(connection)) {
    found->close_without_memory();
  }
}

void Server::undo_for_answer(ConnectionNumber connection) {
  if (Connection* const found = find(connection)) {
    found->undo_for_answer();
  }
}

// --- When memory is short ---

void Server::arm_relief() {
  if (relief_timer_ == 0 && !stopping_) {
    relief_timer_ = environment_.scheduler.schedule_after(kReliefInterval, [this] { relieve(); });
  }
}

void Server::relieve() {
  relief_timer_ = 0;
  const MonotonicTime now = environment_.scheduler.now();
  shared_.memory.set_common_bytes(shared_.handler.buffered_bytes());
  if (shared_.memory.waiting_count() > 0 || shared_.memory.is_critical()) {
    close_victims(now);
  }
  shrink_idle_ones(now);
  for (const auto& [number, connection] : connections_) {
    if (connection->is_held_back() && !large_answers_.is_waiting(number)) {
      wake(number);
    }
  }
  resume_waiting();
  if (shared_.memory.waiting_count() == 0 && woken_.empty()) {
    waited_for_memory_since_.reset();
  }
  if (shared_.memory.waiting_count() > 0 || shared_.memory.is_short()) {
    arm_relief();
  }
}

void Server::close_victims(MonotonicTime now) {
  const MemoryBudget& memory = shared_.memory;
  std::vector<MemoryHolder> holders;
  for (const auto& [number, connection] : connections_) {
    MemoryHolder holder = connection->observe(now);
    if (options_.seeded_bug == SeededBug::kHalfRequestKept) {
      holder.has_half_request = false;
    }
    if (holder.held_bytes > 0) {
      holders.push_back(holder);
    }
  }
  if (std::exchange(freed_bytes_seen_, memory.freed_bytes()) != memory.freed_bytes()) {
    freed_at_ = now;
  }
  const bool is_stuck = now - std::max(freed_at_, waited_for_memory_since_.value_or(now)) >
                        kStuckAfter * options_.memory_patience;
  const std::size_t limit = memory.limit_of(MemoryBudget::Rank::kMedium);
  const std::size_t beyond = memory.used_bytes() > limit ? memory.used_bytes() - limit : 0;
  const auto victims =
      choose_victims(holders, {.wanted_bytes = std::max(memory.wanted_bytes(), beyond),
                               .fair_share_bytes = memory.fair_share_bytes(),
                               .fair_share_of_address_bytes = memory.fair_share_of_address_bytes(),
                               .patience = options_.memory_patience,
                               .is_critical = memory.is_critical(),
                               .is_stuck = is_stuck});
  // To give back a megabyte takes its time too: the others are closed the next time.
  const io::TimeSlice slice(environment_.scheduler);
  std::size_t freed = 0;
  std::size_t closed_count = 0;
  for (; closed_count < victims.size() && !slice.is_over(); ++closed_count) {
    freed += victims[closed_count].held_bytes;
    find(victims[closed_count].connection)->close_for_memory(victims[closed_count].reason);
  }
  if (!victims.empty() && options_.on_notice && relief_notices_.allow(now)) {
    options_.on_notice(fmt::format(
        "memory for requests is short ({} of {} MiB are in use, {} connections wait): closed {} "
        "that make no progress and held {} MiB, the first for: {}; queued.max.request.bytes is the "
        "limit, onceflow_broker_closed_for_memory_total counts",
        memory.used_bytes() / kMebibyte, memory.bytes_max() / kMebibyte, memory.waiting_count(),
        closed_count, freed / kMebibyte, to_string(victims.front().reason)));
  }
}

void Server::notice_too_large(std::size_t bytes) {
  if (options_.on_notice && too_large_notices_.allow(environment_.scheduler.now())) {
    options_.on_notice(fmt::format(
        "a request of {} MiB was announced and its connection closed: the most is {} MiB, by "
        "socket.request.max.bytes and by queued.max.request.bytes, of which one request gets less "
        "than half",
        bytes / kMebibyte,
        std::min(options_.request_bytes_max, shared_.memory.request_bytes_max()) / kMebibyte));
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
  shrink_idle_ones(now);
  arm_sweep();
}

// What lives on between their buffers keeps these from going back to the system by themselves.
void Server::shrink_idle_ones(MonotonicTime now) {
  for (const auto& [number, connection] : connections_) {
    freed_by_idle_ones_bytes_ += connection->shrink_if_idle(now);
  }
  if (freed_by_idle_ones_bytes_ >= kReturnedBytesMin && options_.return_free_memory &&
      return_timer_ == 0) {
    return_timer_ = environment_.scheduler.schedule_after(kReturnDelay, [this] {
      return_timer_ = 0;
      freed_by_idle_ones_bytes_ = 0;
      options_.return_free_memory();
    });
  }
}

// --- Stopping ---

Task<void> Server::stop(Duration patience) {
  stopping_ = true;
  environment_.scheduler.cancel(std::exchange(sweep_timer_, 0));
  environment_.scheduler.cancel(std::exchange(relief_timer_, 0));
  environment_.scheduler.cancel(std::exchange(return_timer_, 0));
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
  statistics.memory_bytes_max = shared_.memory.bytes_max();
  statistics.memory_waiting = shared_.memory.waiting_count();
  if (waited_for_memory_since_) {
    statistics.memory_waited = environment_.scheduler.now() - *waited_for_memory_since_;
  }
  return statistics;
}

}  // namespace onceflow::broker
