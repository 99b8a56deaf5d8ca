#include "broker/connection.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/wire.h"

namespace onceflow::broker {
namespace {

// Where a connection without a request under way reads to. Not counted in the memory budget, for it
// is bounded by the number of connections.
constexpr std::size_t kInputBytesMin = 32 * 1024;
// What has come of a request is copied when its place grows; and memory that nothing was read into
// is not there yet, so a sender who announces much and sends little takes none.
constexpr std::size_t kGrowth = 16;
// No request is shorter: key, version, correlation id.
constexpr std::int32_t kRequestBytesMin = 8;

}  // namespace

Connection::Connection(ConnectionShared& shared, ConnectionNumber number,
                       std::unique_ptr<io::Connection> socket)
    : shared_(shared),
      number_(number),
      socket_(std::move(socket)),
      client_host_("/" + socket_->peer().host),
      memory_(shared.memory, number),
      input_(kInputBytesMin),
      last_read_(shared.scheduler.now()),
      last_progress_(last_read_) {}

Connection::~Connection() = default;

void Connection::start() { read_more(); }

// --- Reading ---

void Connection::read_more() {
  if (reading_ || closing_ || draining_ || waits_for_journal_ || !make_room()) {
    return;
  }
  reading_ = true;
  socket_->async_read({input_.data() + input_end_, input_.size() - input_end_},
                      [this](Result<std::size_t> count) { on_read(std::move(count)); });
}

// Makes sure that something can be read behind input_end_. False if it has to wait: for slots, for
// answers to leave, or for memory.
bool Connection::make_room() {
  if (slot_count() >= shared_.options.requests_in_flight_max ||
      unsent_bytes_ > shared_.options.unsent_bytes_max) {
    return false;
  }
  if (input_bytes() == 0) {
    input_begin_ = input_end_ = 0;
    give_back_large_input();
    return true;
  }
  std::size_t frame_bytes = protocol::kFrameSizeBytes;
  if (input_bytes() >= protocol::kFrameSizeBytes) {
    frame_bytes +=
        static_cast<std::size_t>(wire::load_big_endian<std::int32_t>(input_.data() + input_begin_));
  }
  if (input_begin_ + frame_bytes > input_.size() && input_begin_ > 0) {
    std::memmove(input_.data(), input_.data() + input_begin_, input_bytes());
    input_end_ = input_bytes();
    input_begin_ = 0;
  }
  if (input_end_ == input_.size()) {
    if (!memory_.may_grow()) {
      return false;
    }
    enlarge_input(std::min(input_.size() * kGrowth, std::max(frame_bytes, kInputBytesMin)));
  }
  return true;
}

void Connection::enlarge_input(std::size_t capacity) {
  Buffer larger = shared_.spare_buffers.take(capacity);
  std::memcpy(larger.data(), input_.data() + input_begin_, input_bytes());
  input_end_ = input_bytes();
  input_begin_ = 0;
  memory_.add(larger.size());
  std::swap(input_, larger);
  if (small_input_.empty()) {
    small_input_ = std::move(larger);
  } else {
    memory_.subtract(larger.size());
    shared_.spare_buffers.give(std::move(larger));
  }
}

void Connection::give_back_large_input() {
  if (!small_input_.empty()) {
    std::swap(input_, small_input_);
    memory_.subtract(small_input_.size());
    shared_.spare_buffers.give(std::exchange(small_input_, {}));
  }
}

void Connection::on_read(Result<std::size_t> count) {
  reading_ = false;
  if (closing_) {
    finish_if_idle();
    return;
  }
  // What a closed connection has sent and we have not looked at is dropped: a request whose sender
  // has gone on elsewhere must not take effect late (KAFKA-17754).
  if (!count || *count == 0) {
    close();
    return;
  }
  last_read_ = shared_.scheduler.now();
  shared_.statistics.received_bytes += *count;
  input_end_ += *count;
  if (!draining_) {
    handle_input();
  }
}

void Connection::handle_input() {
  handling_ = true;
  while (!closing_ && handle_one()) {
  }
  handling_ = false;
  shared_.handler.on_requests_handled();
  if (closing_) {
    finish_if_idle();
    return;
  }
  flush();
  read_more();
}

// One request, if a whole one has come and there is room for its answer.
bool Connection::handle_one() {
  if (input_bytes() < protocol::kFrameSizeBytes || draining_) {
    return false;
  }
  const auto size = wire::load_big_endian<std::int32_t>(input_.data() + input_begin_);
  if (size < kRequestBytesMin || std::cmp_greater(size, shared_.options.request_bytes_max)) {
    ++shared_.statistics.closed_garbage;
    close();
    return false;
  }
  const std::size_t frame_bytes = protocol::kFrameSizeBytes + static_cast<std::size_t>(size);
  if (input_bytes() < frame_bytes || slot_count() >= shared_.options.requests_in_flight_max ||
      unsent_bytes_ > shared_.options.unsent_bytes_max || !memory_.may_grow()) {
    return false;
  }
  if (shared_.handler.is_full()) {
    if (!std::exchange(waits_for_journal_, true)) {
      shared_.resume_when_not_full(number_);
    }
    return false;
  }
  const ByteView frame{input_.data() + input_begin_ + protocol::kFrameSizeBytes,
                       static_cast<std::size_t>(size)};
  input_begin_ += frame_bytes;
  handle_request(frame);
  memory_.take_turns();
  return true;
}

void Connection::handle_request(ByteView frame) {
  WireReader reader(frame);
  auto header = protocol::RequestHeader::decode(reader);
  if (!header) {
    ++shared_.statistics.closed_garbage;
    close();
    return;
  }
  const std::uint64_t slot_number = first_slot_number_ + slot_count();
  slots_.push_back(Slot{.received = last_read_, .request_bytes = frame.size()});
  const Request request{.header = std::move(*header),
                        .body = frame.subspan(reader.position()),
                        .slot = {number_, slot_number},
                        .client_host = client_host_,
                        .received = last_read_};
  Reply reply;
  switch (shared_.handler.handle(request, reply)) {
    case Disposition::kAnswer:
      slots_.back().request_bytes = 0;
      slots_.back().reply = std::move(reply);
      account_completed(slots_.back());
      break;
    case Disposition::kLater:
      // A parked request keeps about as much memory as it had on the wire.
      if (!slots_.back().is_complete) {
        memory_.add(frame.size());
      }
      break;
    case Disposition::kNothing:
      slots_.pop_back();
      break;
    case Disposition::kClose:
      close();
      break;
  }
}

void Connection::resume() {
  if (closing_ || handling_) {
    return;
  }
  waits_for_journal_ = false;
  handle_input();
}

// --- Answering ---

void Connection::complete(std::uint64_t slot_number, Reply reply) {
  if (closing_ || slot_number < first_slot_number_) {
    return;
  }
  const std::size_t index =
      first_slot_ + static_cast<std::size_t>(slot_number - first_slot_number_);
  CHECK(index < slots_.size() && !slots_[index].is_complete);
  Slot& slot = slots_[index];
  const bool is_being_handled = handling_ && index + 1 == slots_.size();
  if (!is_being_handled) {
    memory_.subtract(slot.request_bytes);
  }
  slot.reply = std::move(reply);
  account_completed(slot);
  if (!handling_) {
    flush();
  }
}

void Connection::account_completed(Slot& slot) {
  slot.is_complete = true;
  unsent_bytes_ += slot.reply.size_bytes();
  memory_.add(slot.reply.size_bytes());
  if (slot.reply.durable_at > shared_.handler.durable()) {
    shared_.flush_when_durable(slot.reply.durable_at, number_);
  }
}

bool Connection::front_may_leave(JournalPosition durable) const {
  return first_slot_ < slots_.size() && slots_[first_slot_].is_complete &&
         slots_[first_slot_].reply.durable_at <= durable;
}

void Connection::flush() {
  const JournalPosition durable = shared_.handler.durable();
  if (closing_ || write_under_way_ || handling_ || !front_may_leave(durable)) {
    const bool awaits_journal = first_slot_ < slots_.size() && slots_[first_slot_].is_complete;
    if (draining_ && !closing_ && !write_under_way_ && !handling_ && !awaits_journal) {
      close();
    }
    return;
  }
  const MonotonicTime now = shared_.scheduler.now();
  while (front_may_leave(durable)) {
    Slot& slot = slots_[first_slot_];
    if (slot.reply.latency != nullptr) {
      slot.reply.latency->add(now - slot.received);
    }
    writing_bytes_ += slot.reply.size_bytes();
    writing_.push_back(std::move(slot.reply));
    ++first_slot_;
    ++first_slot_number_;
  }
  if (first_slot_ == slots_.size()) {
    slots_.clear();
    first_slot_ = 0;
  } else if (first_slot_ > 64 && first_slot_ > slots_.size() / 2) {
    slots_.erase(slots_.begin(), slots_.begin() + static_cast<std::ptrdiff_t>(first_slot_));
    first_slot_ = 0;
  }
  for (const Reply& reply : writing_) {
    add_parts(reply);
  }
  write_under_way_ = true;
  last_progress_ = now;
  socket_->async_write(parts_, [this](Status status) { on_written(std::move(status)); });
}

void Connection::add_parts(const Reply& reply) {
  const ByteView bytes(reply.bytes);
  ByteView records(reply.records);
  std::size_t sent = 0;
  for (const Reply::Splice& splice : reply.splices) {
    parts_.push_back(bytes.subspan(sent, splice.at - sent));
    parts_.push_back(records.first(splice.records_bytes));
    records = records.subspan(splice.records_bytes);
    sent = splice.at;
  }
  parts_.push_back(bytes.subspan(sent));
}

void Connection::on_written(Status status) {
  write_under_way_ = false;
  unsent_bytes_ -= writing_bytes_;
  memory_.subtract(writing_bytes_);
  shared_.statistics.sent_bytes += status ? writing_bytes_ : 0;
  writing_bytes_ = 0;
  writing_.clear();
  parts_.clear();
  if (closing_ || !status) {
    close();
    return;
  }
  last_progress_ = shared_.scheduler.now();
  flush();
  if (!reading_ && !closing_ && !waits_for_journal_) {
    handle_input();
  }
}

// --- Closing ---

void Connection::drain() {
  draining_ = true;
  flush();
}

void Connection::close() {
  if (!std::exchange(closing_, true)) {
    socket_->close();
    memory_.withdraw();
  }
  if (!handling_) {
    finish_if_idle();
  }
}

void Connection::finish_if_idle() {
  if (!reading_ && !write_under_way_ && !std::exchange(finished_, true)) {
    shared_.finished(number_);
  }
}

void Connection::close_if_silent(MonotonicTime now) {
  const bool half_a_request = reading_ && input_bytes() > 0;
  const bool idle = slot_count() == 0 && now - last_read_ > shared_.options.idle_max &&
                    now - last_progress_ > shared_.options.idle_max;
  const bool takes_no_answer = write_under_way_ && now - last_progress_ > shared_.options.idle_max;
  if ((half_a_request && now - last_read_ > shared_.options.half_request_silence_max) || idle ||
      takes_no_answer) {
    ++shared_.statistics.closed_silent;
    close();
  }
}

}  // namespace onceflow::broker
