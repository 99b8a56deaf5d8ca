#include "broker/connection.h"

#include <algorithm>
#include <new>
#include <utility>

#include "base/check.h"
#include "base/wire.h"
#include "io/time_slice.h"
#include "protocol/api_key.h"
#include "protocol/api_table.h"

namespace onceflow::broker {
namespace {

// Where an idle connection reads to. Not counted in the budget: it belongs to the connection.
constexpr std::size_t kIdleInputBytes = 512;
// Where one reads to that has had longer requests than that.
constexpr std::size_t kInputBytes = 32 * 1024;
// What has come of a request is copied when its place grows; and memory that nothing was read into
// is not there yet, so a sender who announces much and sends little takes none.
constexpr std::size_t kGrowth = 16;
// As much of a long request is granted at a time.
constexpr std::size_t kGrantBytes = 256 * 1024;
// No request is shorter: key, version, correlation id.
constexpr std::int32_t kRequestBytesMin = 8;
// What a waiting request takes beside its bytes: its place, its timer, its entries in lists.
constexpr std::size_t kWaitingBytes = 512;
// Of the loop for the requests of one connection, while hundreds of others may have some too.
constexpr Duration kHandlingSlice = std::chrono::microseconds(250);
// Of answers while memory is short: as many as a steady producer has between two syncs of the
// journal. Without them it would have one request for each turn of the loop, and fall behind.
constexpr std::size_t kUnsentBytesWhenShort = 16 * 1024;
// Slower or faster is known after this long.
constexpr Duration kRateWindow = seconds(2);

}  // namespace

Connection::Connection(ConnectionShared& shared, ConnectionNumber number,
                       std::unique_ptr<io::Connection> socket)
    : shared_(shared),
      number_(number),
      socket_(std::move(socket)),
      client_host_("/" + socket_->peer().host),
      memory_(shared.memory, number, client_host_),
      input_(kIdleInputBytes),
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
  socket_->async_read({input_.data() + input_end_, read_end() - input_end_},
                      [this](Result<std::size_t> count) { on_read(std::move(count)); });
}

// Of a request that has a place of its own no more is read than was granted, and never more than
// its end: what comes after it has no place there. More may be granted than there is a place for.
std::size_t Connection::read_end() const {
  return input_.size() > kInputBytes ? std::min(granted_bytes_, input_.size()) : input_.size();
}

std::size_t Connection::request_bytes_max() const {
  return std::min(shared_.options.request_bytes_max, shared_.memory.request_bytes_max());
}

// Whether what has come so far looks like a request rather than like another protocol.
bool Connection::is_known_api() const {
  if (input_bytes() < protocol::kFrameSizeBytes + sizeof(std::int16_t)) {
    return false;
  }
  const auto key =
      wire::load_big_endian<std::int16_t>(input_.data() + input_begin_ + protocol::kFrameSizeBytes);
  return protocol::find_api(static_cast<protocol::ApiKey>(key)) != nullptr;
}

// Whether one more request may be handled, or read: there are slots, and room for answers to leave.
// While memory is short there is room for a few small ones, and while it is critical for one.
bool Connection::may_go_on() {
  if (slot_count() >= shared_.options.requests_in_flight_max ||
      unsent_bytes_ > shared_.options.unsent_bytes_max) {
    return false;
  }
  const std::size_t room = shared_.memory.is_critical() ? 0 : kUnsentBytesWhenShort;
  if (unsent_bytes_ > room && shared_.memory.is_short()) {
    shared_.memory.on_short();
    return false;
  }
  return true;
}

// Makes sure that something can be read after input_end_. False if it has to wait: see may_go_on(),
// and for memory.
bool Connection::make_room() {
  if (held_count_ > 0) {
    return input_end_ < read_end();  // nothing is moved; but the client's end shall be seen
  }
  if (!may_go_on()) {
    return false;
  }
  if (input_bytes() == 0) {
    input_begin_ = input_end_ = 0;
    give_back_input(kInputBytes);
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
  if (input_bytes() >= frame_bytes) {
    return false;  // it is held back, and so is what comes after it
  }
  if (input_end_ == input_.size() && !enlarge_input(frame_bytes)) {
    return false;
  }
  return input_end_ < read_end() || grant_input(frame_bytes);
}

// A place for more of the request that fills what there is.
bool Connection::enlarge_input(std::size_t frame_bytes) {
  const std::size_t old = input_.size();
  std::size_t capacity = std::min(old * kGrowth, std::max(frame_bytes, kInputBytes));
  if (old < kInputBytes) {
    // While memory is short, no more than this request takes.
    capacity = shared_.memory.is_short() ? std::min(kInputBytes, std::max(frame_bytes, 2 * old))
                                         : kInputBytes;
    // The beginning of a long request is part of what it needs, and no small request.
    const std::size_t more = capacity - granted_bytes_;
    const std::size_t whole = frame_bytes + copied_bytes(frame_bytes);
    const bool has_it = frame_bytes > MemoryBudget::kSmallBytesMax
                            ? memory_.take(more, whole - granted_bytes_)
                            : memory_.take_at_once(more);
    if (!has_it) {
      return false;
    }
    granted_bytes_ = capacity;
  }
  try {
    replace_input(capacity > kInputBytes ? shared_.spare_buffers.take(capacity) : Buffer(capacity));
  } catch (const std::bad_alloc&) {
    close_without_memory();
    return false;
  }
  return true;
}

void Connection::replace_input(Buffer other) {
  std::memcpy(other.data(), input_.data() + input_begin_, input_bytes());
  input_end_ = input_bytes();
  input_begin_ = 0;
  std::swap(input_, other);
  if (other.size() > kInputBytes) {
    shared_.spare_buffers.give(std::move(other));
  }
}

// Memory for more of a request that has a place of its own. One of records needs as much again when
// it is handled: the journal takes a copy.
bool Connection::grant_input(std::size_t frame_bytes) {
  const std::size_t rest = frame_bytes - granted_bytes_;
  const std::size_t more = std::min(rest, kGrantBytes);
  if (!memory_.take(more, rest + copied_bytes(frame_bytes))) {
    return false;
  }
  granted_bytes_ += more;
  return true;
}

std::size_t Connection::copied_bytes(std::size_t frame_bytes) const {
  const auto key =
      wire::load_big_endian<std::int16_t>(input_.data() + input_begin_ + protocol::kFrameSizeBytes);
  return frame_bytes > MemoryBudget::kSmallBytesMax &&
                 key == static_cast<std::int16_t>(protocol::ApiKey::kProduce)
             ? frame_bytes
             : 0;
}

// Without input: a buffer that is larger than `capacity` is given back for one that is not.
void Connection::give_back_input(std::size_t capacity) {
  if (input_.size() <= capacity) {
    return;
  }
  if (input_.size() > kInputBytes) {
    shared_.spare_buffers.give(std::move(input_));
  }
  input_ = Buffer(capacity);
  const std::size_t kept = capacity < kInputBytes ? 0 : capacity;
  memory_.finish();
  memory_.give_back(granted_bytes_ - kept);
  granted_bytes_ = kept;
}

std::size_t Connection::shrink_if_idle(MonotonicTime now) {
  const bool is_idle = reading_ && !closing_ && !write_under_way_ && held_count_ == 0 &&
                       input_bytes() == 0 && now - last_read_ >= shared_.options.idle_buffer_max;
  if (!is_idle || input_.size() <= kIdleInputBytes || std::exchange(shrinking_, true)) {
    return 0;
  }
  socket_->cancel_read();
  return input_.size();
}

void Connection::on_read(Result<std::size_t> count) {
  reading_ = false;
  if (closing_) {
    finish_if_idle();
    return;
  }
  if (std::exchange(shrinking_, false) && !count &&
      count.error().code == onceflow::ErrorCode::kCancelled) {
    give_back_input(kIdleInputBytes);
    read_more();
    return;
  }
  // What a closed connection has sent and we have not looked at is dropped: a request whose sender
  // has gone on elsewhere must not take effect late (KAFKA-17754).
  if (!count || *count == 0) {
    close();
    return;
  }
  last_read_ = shared_.scheduler.now();
  if (input_bytes() == 0) {
    window_.is_set = false;
  }
  received_bytes_ += *count;
  shared_.statistics.received_bytes += *count;
  input_end_ += *count;
  if (draining_) {
    return;
  }
  // More has come than there is room for: who has 512 bytes a turn falls behind one who has more.
  // What is held stays where it is.
  if (input_end_ == read_end() && input_.size() < kInputBytes && held_count_ == 0 &&
      !shared_.memory.is_short()) {
    enlarge_input(kInputBytes);
  }
  handle_input_in_turn();
}

void Connection::handle_input_in_turn() {
  if (shared_.others_are_first()) {
    shared_.resume_soon(number_);
  } else {
    handle_input();
  }
}

void Connection::handle_input() {
  handling_ = true;
  const io::TimeSlice slice(shared_.scheduler, kHandlingSlice);
  while (!closing_ && handle_one()) {
    if (slice.is_over()) {
      shared_.resume_soon(number_);
      break;
    }
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
  if (input_bytes() < protocol::kFrameSizeBytes || draining_ || held_count_ > 0) {
    return false;
  }
  const auto size = wire::load_big_endian<std::int32_t>(input_.data() + input_begin_);
  const bool is_too_large = std::cmp_greater(size, request_bytes_max());
  if (size < kRequestBytesMin || is_too_large) {
    if (is_too_large && is_known_api()) {
      shared_.too_large(static_cast<std::size_t>(size));
    }
    ++shared_.statistics.closed_garbage;
    close();
    return false;
  }
  const std::size_t frame_bytes = protocol::kFrameSizeBytes + static_cast<std::size_t>(size);
  if (input_bytes() < frame_bytes || !may_go_on()) {
    return false;
  }
  if (shared_.handler.is_full()) {
    if (!std::exchange(waits_for_journal_, true)) {
      shared_.resume_when_not_full(number_);
    }
    return false;
  }
  const std::size_t copied = copied_bytes(frame_bytes);
  if (copied > 0 && !memory_.take(copied, copied)) {
    return false;
  }
  const ByteView frame{input_.data() + input_begin_ + protocol::kFrameSizeBytes,
                       static_cast<std::size_t>(size)};
  const Disposition disposition = handle_request(frame);
  shared_.memory.set_common_bytes(shared_.handler.buffered_bytes());
  if (disposition == Disposition::kNotNow) {
    memory_.give_back(copied);
    return false;
  }
  input_begin_ += frame_bytes;
  if (disposition == Disposition::kHeld) {
    held_copied_bytes_ = copied;  // the journal takes its copy when the work is over
    return false;
  }
  memory_.give_back(copied);
  memory_.finish();
  return true;
}

Disposition Connection::handle_request(ByteView frame) {
  WireReader reader(frame);
  auto header = protocol::RequestHeader::decode(reader);
  if (!header) {
    ++shared_.statistics.closed_garbage;
    close();
    return Disposition::kClose;
  }
  const std::uint64_t slot_number = first_slot_number_ + slot_count();
  slots_.push_back(Slot{.received = last_read_});
  const Request request{.header = std::move(*header),
                        .body = frame.subspan(reader.position()),
                        .slot = {number_, slot_number},
                        .client_host = client_host_,
                        .received = last_read_};
  Reply reply;
  const Disposition disposition = hand_over(request, reply);
  settle(slot_number, disposition, std::move(reply), frame.size());
  return disposition;
}

Connection::Slot& Connection::slot_of(std::uint64_t slot_number) {
  const std::size_t index =
      first_slot_ + static_cast<std::size_t>(slot_number - first_slot_number_);
  CHECK(index < slots_.size());
  return slots_[index];
}

// What becomes of a request that has been handled; it is the last.
void Connection::settle(std::uint64_t slot_number, Disposition disposition, Reply reply,
                        std::size_t frame_bytes) {
  switch (disposition) {
    case Disposition::kAnswer: {
      Slot& slot = slot_of(slot_number);
      slot.reply = std::move(reply);
      account_completed(slot);
      break;
    }
    case Disposition::kLater:
      if (Slot& slot = slot_of(slot_number); !slot.is_complete) {
        slot.kept_bytes = std::max(frame_bytes, reply.kept_bytes) + kWaitingBytes;
        memory_.add(slot.kept_bytes);
      }
      break;
    case Disposition::kHeld:
      ++held_count_;  // its memory is that of the input
      break;
    case Disposition::kNothing:
    case Disposition::kNotNow:
      slots_.pop_back();
      break;
    case Disposition::kClose:
      close();
      break;
  }
  if (disposition != Disposition::kHeld) {
    memory_.give_back(std::exchange(answer_granted_bytes_, 0));
  }
}

// The one place where a request that the system has no memory for becomes the end of its
// connection. While it was decoded, or its answer made, nothing was changed, or all of it. In the
// middle of a change (BrokerCore::changing) only a restart can say how far it went.
Disposition Connection::hand_over(const Request& request, Reply& reply) {
  try {
    return shared_.handler.handle(request, reply);
  } catch (const std::bad_alloc&) {
    const bool out_of_memory_in_the_middle_of_a_change = shared_.handler.is_changing();
    CHECK(!out_of_memory_in_the_middle_of_a_change);
    ++shared_.statistics.closed_without_memory;
    return Disposition::kClose;
  }
}

void Connection::finish_held(std::uint64_t slot_number, Disposition disposition, Reply reply) {
  CHECK(held_count_ > 0);
  --held_count_;
  if (!closing_) {
    settle(slot_number, disposition, std::move(reply), 0);
    shared_.memory.set_common_bytes(shared_.handler.buffered_bytes());
    memory_.give_back(std::exchange(held_copied_bytes_, 0));
    memory_.finish();
  }
  if (closing_) {
    finish_if_idle();
  } else {
    handle_input();
  }
}

void Connection::resume() {
  if (closing_ || handling_) {
    return;
  }
  waits_for_journal_ = false;
  handle_input();
}

// --- Memory ---

bool Connection::take_for_answer(std::size_t bytes) {
  if (!memory_.take_at_once(bytes)) {
    return false;
  }
  answer_granted_bytes_ += bytes;
  return true;
}

std::size_t Connection::take_for_answer_up_to(std::size_t bytes) {
  const std::size_t granted = memory_.take_up_to(bytes);
  answer_granted_bytes_ += granted;
  return granted;
}

LargeAnswers::Backlog Connection::backlog() const {
  return {.has_too_much = memory_.has_too_much(),
          .address_has_too_much = memory_.address_has_too_much(),
          .held_bytes = memory_.held_bytes()};
}

MemoryHolder Connection::observe(MonotonicTime now) {
  MemoryHolder holder{.connection = number_,
                      .held_bytes = memory_.held_bytes(),
                      .address_bytes = memory_.address_bytes(),
                      .has_unread_answer = write_under_way_,
                      .has_half_request = has_half_request(),
                      .is_waiting = memory_.is_waiting()};
  std::uint64_t moved = received_bytes_;
  if (write_under_way_) {
    moved = socket_->taken_bytes();
    if (std::exchange(observed_taken_bytes_, moved) != moved) {
      last_progress_ = now;
    }
  }
  holder.silence = now - (write_under_way_ ? last_progress_ : last_read_);
  if (!write_under_way_ && !reading_) {
    window_.is_set = false;
  } else if (!std::exchange(window_.is_set, true)) {
    window_.since = now;
    window_.moved_bytes = moved;
  } else if (now - window_.since >= kRateWindow) {
    holder.bytes_per_second =
        static_cast<std::uint64_t>(static_cast<double>(moved - window_.moved_bytes) /
                                   std::chrono::duration<double>(now - window_.since).count());
  }
  return holder;
}

void Connection::close_for_memory(ClosedForMemory reason) {
  ++shared_.statistics.closed_for_memory[static_cast<std::size_t>(reason)];
  close();
}

// --- Answering ---

// An answer, its place here, and what its memory is rounded up to.
std::size_t Connection::memory_of(const Reply& reply) {
  return reply.bytes.capacity() + reply.records.size() + 2 * sizeof(Slot);
}

void Connection::complete(std::uint64_t slot_number, Reply reply) {
  if (closing_ || slot_number < first_slot_number_) {
    return;
  }
  Slot& slot = slot_of(slot_number);
  CHECK(!slot.is_complete);
  memory_.give_back(std::exchange(slot.kept_bytes, 0));
  slot.reply = std::move(reply);
  account_completed(slot);
  memory_.give_back(std::exchange(answer_granted_bytes_, 0));
  if (!handling_) {
    flush();
  }
}

void Connection::account_completed(Slot& slot) {
  slot.is_complete = true;
  unsent_bytes_ += memory_of(slot.reply);
  memory_.add(memory_of(slot.reply));
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
    writing_bytes_ += memory_of(slot.reply);
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
  window_.is_set = false;
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
  memory_.give_back(writing_bytes_);
  writing_bytes_ = 0;
  for (const Reply& reply : writing_) {
    shared_.statistics.sent_bytes += status ? reply.size_bytes() : 0;
  }
  writing_.clear();
  parts_.clear();
  if (closing_ || !status) {
    close();
    return;
  }
  last_progress_ = shared_.scheduler.now();
  flush();
  if (!reading_ && !closing_ && !waits_for_journal_) {
    handle_input_in_turn();
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

void Connection::close_without_memory() {
  ++shared_.statistics.closed_without_memory;
  close();
}

void Connection::finish_if_idle() {
  if (!reading_ && !write_under_way_ && held_count_ == 0 && !std::exchange(finished_, true)) {
    shared_.finished(number_);
  }
}

void Connection::close_if_silent(MonotonicTime now) {
  const bool idle = slot_count() == 0 && now - last_read_ > shared_.options.idle_max &&
                    now - last_progress_ > shared_.options.idle_max;
  const bool takes_no_answer = write_under_way_ && now - last_progress_ > shared_.options.idle_max;
  if ((has_half_request() && now - last_read_ > shared_.options.half_request_silence_max) || idle ||
      takes_no_answer) {
    ++shared_.statistics.closed_silent;
    close();
  }
}

}  // namespace onceflow::broker
