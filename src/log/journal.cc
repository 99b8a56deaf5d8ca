#include "log/journal.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/wire.h"
#include "log/journal_note.h"

namespace onceflow::log {

namespace {
constexpr std::size_t kFirstFrameBytes = 256u << 10;
// One is written, one is gathered, one is held by segments that have not written it yet.
constexpr std::size_t kSpareBuffers = 3;
constexpr std::size_t kZeroChunkBytes = 256u << 10;
constexpr Duration kPrepareAgainAfter = seconds(1);

std::size_t round_up_to_blocks(std::size_t bytes) {
  return (bytes + kJournalBlockBytes - 1) / kJournalBlockBytes * kJournalBlockBytes;
}
}  // namespace

// One write: the header's place, then whole entries.
struct Journal::Frame {
  explicit Frame(std::shared_ptr<io::BlockBuffer> a_buffer) : buffer(std::move(a_buffer)) {}

  std::byte* data() { return buffer->data(); }
  std::size_t room() const { return buffer->size() - used; }
  std::size_t payload_bytes() const { return used - kFrameHeaderBytes; }
  // Who holds bytes of the smaller buffer keeps it.
  void move_to(std::shared_ptr<io::BlockBuffer> larger) {
    std::memcpy(larger->data(), buffer->data(), used);
    buffer = std::move(larger);
  }

  std::shared_ptr<io::BlockBuffer> buffer;  // shared with those who hold what lies in it
  std::size_t used = kFrameHeaderBytes;
  JournalPosition position;
  bool closed = false;
};

Journal::Journal(const io::Environment& environment, JournalOptions options, JournalStart start)
    : environment_(environment),
      options_(std::move(options)),
      journal_id_(start.journal_id),
      start_nonce_(static_cast<std::uint32_t>(environment.random.next())),
      tail_(start.tail),
      end_(start.tail.position),
      durable_(start.tail.position),
      released_(start.released),
      told_(start.tail.position),
      synced_(start.tail.position),
      buffers_(kFirstFrameBytes, options_.frame_bytes_max, kSpareBuffers),
      file_sequence_max_(std::max(start.file_sequence_max, start.tail.file_sequence)) {
  std::ranges::sort(start.slots, {}, &JournalSlot::sequence);
  for (const JournalSlot& slot : start.slots) {
    number_max_ = std::max(number_max_, slot.number);
    if (slot.sequence == 0) {
      free_.push_back({slot.number, slot.size_bytes});
    } else if (slot.sequence == tail_.file_sequence) {
      current_.number = slot.number;
      current_.durable_bytes = slot.size_bytes;
    } else {
      used_.push_back(slot);
    }
  }
}

Journal::~Journal() { *alive_ = false; }

template <typename Function>
auto Journal::guarded(Function function) {
  return [alive = alive_, function = std::move(function)]() mutable {
    if (*alive) {
      function();
    }
  };
}

std::string Journal::path_of(std::uint32_t number) const {
  return options_.directory + "/" + journal_file_name(number);
}

Status Journal::open() {
  RETURN_IF_ERROR(environment_.disk.make_directory(options_.directory));
  if (current_.number == 0 && !free_.empty()) {
    current_.number = free_.back().number;
    current_.durable_bytes = free_.back().size_bytes;
    free_.pop_back();
  }
  if (current_.number == 0) {
    current_.number = ++number_max_;
  }
  auto file = environment_.disk.open(path_of(current_.number), io::OpenMode::kCreate);
  RETURN_IF_ERROR(file);
  current_.file = std::move(*file);
  auto size_bytes = current_.file->size();
  RETURN_IF_ERROR(size_bytes);
  current_.size_bytes = *size_bytes;
  if (current_.size_bytes < options_.first_file_bytes) {
    const Buffer zeroes(kZeroChunkBytes, std::byte{0});
    for (std::uint64_t at = current_.size_bytes; at < options_.first_file_bytes;) {
      const std::uint64_t count =
          std::min<std::uint64_t>(zeroes.size(), options_.first_file_bytes - at);
      RETURN_IF_ERROR(current_.file->write_at(at, ByteView(zeroes).first(count)));
      at += count;
    }
    RETURN_IF_ERROR(current_.file->sync());
    RETURN_IF_ERROR(environment_.disk.sync_directory(options_.directory));
    current_.size_bytes = current_.durable_bytes = options_.first_file_bytes;
  }
  if (tail_.file_sequence == 0) {
    tail_.file_sequence = ++file_sequence_max_;
    tail_.file_offset = 0;
  }
  return open_note();
}

// What recovery has read is on the device, whatever the mode: so says the note from now on.
Status Journal::open_note() {
  if (options_.data_directory.empty()) {
    return {};
  }
  const std::string path = journal_note_path(options_.data_directory);
  const auto exists = environment_.disk.exists(path);
  RETURN_IF_ERROR(exists);
  if (!*exists) {  // of a version that made none
    RETURN_IF_ERROR(make_journal_note(environment_.disk, options_.data_directory, note()));
  }
  auto file = environment_.disk.open(path, io::OpenMode::kReadWrite);
  RETURN_IF_ERROR(file);
  note_ = std::move(*file);
  RETURN_IF_ERROR(write_note());
  return note_->sync();
}

JournalNote Journal::note() const {
  return {.journal_id = journal_id_,
          .boot_id = options_.boot_id,
          .position = durable_,
          .synced_position = synced_};
}

// Through the page cache, in place and in one sector: a loss of power leaves this or an older one,
// which says less.
Status Journal::write_note() {
  std::array<std::byte, kJournalNoteBytes> bytes;
  encode_journal_note(note(), bytes.data());
  return note_->write_at(0, bytes);
}

std::vector<JournalFile> Journal::files() const {
  std::vector<JournalFile> files = free_;
  for (const JournalSlot& slot : used_) {
    files.push_back({slot.number, slot.size_bytes});
  }
  files.push_back({current_.number, current_.durable_bytes});
  if (next_) {
    files.push_back({next_->number, next_->durable_bytes});
  }
  // One whose preparation has failed may have neither a size nor a durable name.
  std::erase_if(files, [](const JournalFile& file) { return file.size_bytes == 0; });
  std::ranges::sort(files, {}, &JournalFile::number);
  return files;
}

// --- Appending ---

Journal::Frame& Journal::frame_for(std::size_t entry_bytes) {
  if (!frames_.empty() && !frames_.back()->closed) {
    Frame& frame = *frames_.back();
    if (entry_bytes <= frame.room()) {
      return frame;
    }
    if (frame.used + entry_bytes <= options_.frame_bytes_max) {
      frame.move_to(buffers_.take(round_up_to_blocks(
          std::min(options_.frame_bytes_max, std::max(frame.used + entry_bytes, 2 * frame.used)))));
      return frame;
    }
    frame.closed = true;
  }
  frames_.push_back(std::make_unique<Frame>(buffers_.take(kFrameHeaderBytes + entry_bytes)));
  frames_.back()->position = end_;
  return *frames_.back();
}

JournalPosition Journal::append(EntryType type, ByteView head, ByteView rest, Placed* rest_placed) {
  const std::size_t body_bytes = head.size() + rest.size();
  const std::size_t entry_bytes = kEntryHeaderBytes + body_bytes;
  Frame& frame = frame_for(entry_bytes);
  std::byte* place = frame.data() + frame.used;
  wire::store_big_endian(place, static_cast<std::uint32_t>(body_bytes + 1));
  place[4] = static_cast<std::byte>(type);
  place += kEntryHeaderBytes;
  if (!head.empty()) {
    std::memcpy(place, head.data(), head.size());
  }
  if (!rest.empty()) {
    std::memcpy(place + head.size(), rest.data(), rest.size());
  }
  if (rest_placed != nullptr) {
    *rest_placed = {{place + head.size(), rest.size()}, frame.buffer};
  }
  frame.used += entry_bytes;
  buffered_bytes_ += entry_bytes;
  end_ = end_ + std::uint64_t{entry_bytes};
  schedule_flush();
  return end_;
}

void Journal::when_durable(JournalPosition position, Callback<void()> callback) {
  const bool early = environment_.seeded_bug == SeededBug::kAcknowledgeBeforeSync;
  if (!failed_ && (early || (position <= durable_ && waiters_.empty()))) {
    environment_.scheduler.post(guarded(std::move(callback)));
    return;
  }
  auto place = waiters_.end();
  if (!waiters_.empty() && position < waiters_.back().position) {
    place = std::ranges::upper_bound(waiters_, position, {}, &Waiter::position);
  }
  waiters_.insert(place, Waiter{position, std::move(callback)});
  if (position <= durable_) {
    schedule_flush();
  }
}

void Journal::when_not_full(Callback<void()> callback) {
  if (!is_full() && !failed_) {
    environment_.scheduler.post(guarded(std::move(callback)));
    return;
  }
  not_full_.push_back(std::move(callback));
}

void Journal::mark(Callback<void(JournalTail)> callback) {
  CHECK(!mark_);
  if (!frames_.empty()) {
    frames_.back()->closed = true;
  }
  if (durable_ == end_) {
    // A seal may be on its way; what is found behind the tail continues the chain all the same.
    environment_.scheduler.post(
        guarded([tail = tail_, then = std::move(callback)]() mutable { then(tail); }));
    return;
  }
  mark_ = std::make_unique<Mark>(Mark{end_, std::move(callback)});
}

void Journal::fail(const Error& error) {
  if (!std::exchange(failed_, true)) {
    options_.on_fatal(error);
  }
}

// --- Flushing ---

void Journal::schedule_flush() {
  if (!flush_scheduled_ && !writing_ && !failed_) {
    flush_scheduled_ = true;
    environment_.scheduler.post(guarded([this] {
      flush_scheduled_ = false;
      flush_and_tell();
    }));
  }
}

// The device first: it would have nothing to do while others are told of what it has done.
void Journal::flush_and_tell() {
  flush();
  if (told_ != durable_ && !failed_) {
    told_ = durable_;
    if (listener_) {
      listener_(durable_);
    }
  }
  run_waiters();
}

// Durable: begins one write, whose callback comes back here. Os: writes all there is.
void Journal::flush() {
  while (!writing_ && !failed_ && !frames_.empty()) {
    std::unique_ptr<Frame> frame = std::move(frames_.front());
    frames_.pop_front();
    write(std::move(frame));
  }
}

void Journal::write(std::unique_ptr<Frame> frame) {
  const std::size_t frame_bytes = round_up_to_blocks(frame->used);
  std::memset(frame->data() + frame->used, 0, frame_bytes - frame->used);
  switch_file_if_full(frame_bytes);

  FrameHeader header{
      .journal_id = journal_id_,
      .file_sequence = tail_.file_sequence,
      .position = frame->position,
      .durable_position = synced_,
      .payload_bytes = static_cast<std::uint32_t>(frame->payload_bytes()),
      .payload_checksum = crc32c({frame->data() + kFrameHeaderBytes, frame->payload_bytes()}),
      .previous_checksum = tail_.chain,
      .start_nonce = start_nonce_,
  };
  encode_frame_header(header, frame->data());

  writing_ = true;
  last_write_ = environment_.scheduler.now();
  const ByteView bytes(frame->data(), frame_bytes);
  if (options_.flush == FlushMode::kOs) {
    Status status = current_.file->write_at(tail_.file_offset, bytes);
    frame_written(header, std::move(status));
    return;
  }
  // The callback owns the bytes and the file, so both outlive the write whatever becomes of us.
  current_.file->async_write_durable(tail_.file_offset, bytes,
                                     [this, alive = alive_, file = current_.file,
                                      frame = std::move(frame), header](Status status) mutable {
                                       if (*alive) {
                                         frame.reset();
                                         frame_written(header, std::move(status));
                                         flush_and_tell();
                                       }
                                     });
}

void Journal::frame_written(const FrameHeader& header, Status status) {
  writing_ = false;
  if (!status) {
    Error error = std::move(status).error();
    error.text = "journal " + path_of(current_.number) + ": " + error.text;
    fail(error);
  }
  if (failed_) {
    return;
  }
  const bool is_seal = header.payload_bytes == 0;
  tail_.file_offset += header.frame_bytes();
  tail_.chain = header.header_checksum;
  tail_.position = header.position + std::uint64_t{header.payload_bytes};
  current_.size_bytes = std::max(current_.size_bytes, tail_.file_offset);
  // What was answered for stays answered for: durability only grows, and only over what was
  // appended.
  CHECK_INVARIANT("LOG-1", tail_.position >= durable_ && tail_.position <= end());
  durable_ = tail_.position;
  if (options_.flush == FlushMode::kDurable) {
    synced_ = durable_;
    current_.durable_bytes = std::max(current_.durable_bytes, tail_.file_offset);
  }
  if (note_) {
    static_cast<void>(write_note());  // if it cannot be written, the older one says less
  }
  sealed_ = is_seal || options_.flush == FlushMode::kOs;
  buffered_bytes_ -= header.payload_bytes;
  if (!is_seal) {
    ++flush_count_;
    last_flush_ = environment_.scheduler.now() - last_write_;
    if (mark_ && mark_->position == durable_) {
      environment_.scheduler.post(
          guarded([tail = tail_, then = std::move(mark_->callback)]() mutable { then(tail); }));
      mark_.reset();
    }
    arm_seal();
  }
  prepare_next_file();
}

void Journal::run_waiters() {
  const std::shared_ptr<bool> alive = alive_;  // a callback may be the end of us
  while (*alive && !failed_ && !waiters_.empty() && waiters_.front().position <= durable_) {
    Callback<void()> callback = std::move(waiters_.front().callback);
    waiters_.pop_front();
    callback();
  }
  while (*alive && !failed_ && !not_full_.empty() && !is_full()) {
    Callback<void()> callback = std::move(not_full_.front());
    not_full_.pop_front();
    callback();
  }
}

// --- Seals: the last frame of a burst has nobody behind it who says that it was durable, so damage
// to it would look like a torn write. An empty frame says so. ---

void Journal::arm_seal() {
  if (!sealed_ && !seal_armed_) {
    seal_armed_ = true;
    environment_.scheduler.schedule_after(options_.seal_after, guarded([this] {
                                            seal_armed_ = false;
                                            seal_if_idle();
                                          }));
  }
}

void Journal::seal_if_idle() {
  if (sealed_ || failed_) {
    return;
  }
  const bool idle = !writing_ && frames_.empty() &&
                    environment_.scheduler.now() - last_write_ >= options_.seal_after;
  if (!idle) {
    arm_seal();
    return;
  }
  auto frame = std::make_unique<Frame>(std::make_shared<io::BlockBuffer>(kJournalBlockBytes));
  frame->position = end_;
  write(std::move(frame));
}

// --- Files ---

void Journal::switch_file_if_full(std::size_t frame_bytes) {
  // Without a next file the current one grows: slower, never wrong.
  if (tail_.file_offset + frame_bytes <= current_.size_bytes || tail_.file_offset == 0 || !next_) {
    return;
  }
  used_.push_back({current_.number, tail_.file_sequence, tail_.position, current_.durable_bytes});
  if (options_.flush == FlushMode::kOs) {
    unsynced_.push_back({current_.file, tail_.position});
  }
  current_ = std::move(*next_);
  next_.reset();
  tail_.file_sequence = ++file_sequence_max_;
  tail_.file_offset = 0;
}

void Journal::prepare_next_file() {
  if (next_ || preparing_ || tail_.file_offset < current_.size_bytes / 4 ||
      environment_.scheduler.now() < prepare_not_before_) {
    return;
  }
  if (free_.empty() && !has_room_for(options_.file_bytes)) {
    prepare_not_before_ = environment_.scheduler.now() + kPrepareAgainAfter;
    return;
  }
  OpenFile file;
  if (!free_.empty()) {
    file.number = free_.back().number;
    file.durable_bytes = free_.back().size_bytes;
    free_.pop_back();
  } else {
    file.number = ++number_max_;
  }
  preparing_ = true;
  auto opened = environment_.disk.open(path_of(file.number), io::OpenMode::kCreate);
  if (!opened) {
    next_file_ready(std::move(file), std::unexpected(std::move(opened).error()));
    return;
  }
  file.file = std::move(*opened);
  const auto size_bytes = file.file->size();
  // One whose filling has failed may have the size, and no durable name.
  const bool is_named = file.durable_bytes > 0 || options_.flush == FlushMode::kOs;
  if (size_bytes && *size_bytes >= options_.file_bytes && is_named) {
    file.size_bytes = *size_bytes;
    next_file_ready(std::move(file), {});
    return;
  }
  // The first file is smaller, and one whose filling has failed.
  if (size_bytes && *size_bytes < options_.file_bytes &&
      !has_room_for(options_.file_bytes - *size_bytes)) {
    next_file_ready(std::move(file), onceflow::fail(ErrorCode::kDiskFull, "no room for zeroes"));
    return;
  }
  file.size_bytes = std::max(options_.file_bytes, size_bytes.value_or(0));
  if (options_.flush == FlushMode::kOs) {
    // No write waits for the device here, so zeroes would be written for nothing.
    name_next_file(std::move(file), 0);
    return;
  }
  const std::shared_ptr<io::File> handle = file.file;
  handle->async_fill_with_zeros(
      options_.file_bytes, [this, alive = alive_, file = std::move(file)](Status status) mutable {
        if (*alive && status) {
          const std::uint64_t filled_bytes = file.size_bytes;
          name_next_file(std::move(file), filled_bytes);
        } else if (*alive) {
          next_file_ready(std::move(file), std::move(status));
        }
      });
}

// Otherwise the current one grows, by no more than what is written: what is left of the disk
// belongs to what has been taken in already.
bool Journal::has_room_for(std::uint64_t bytes) const {
  const auto free_bytes = environment_.disk.free_bytes(options_.directory);
  return !free_bytes || *free_bytes >= bytes + options_.free_bytes_min;
}

// A file whose name is not durable is not there after a crash, whatever was synced in it. If the
// sync fails, nothing says whether a later one would tell: the file is left alone until the next
// start, which makes all names durable.
void Journal::name_next_file(OpenFile file, std::uint64_t filled_bytes) {
  environment_.disk.async_sync_directory(options_.directory, [this, alive = alive_,
                                                              file = std::move(file),
                                                              filled_bytes](Status status) mutable {
    if (!*alive) {
      return;
    }
    if (!status && file.durable_bytes == 0) {
      preparing_ = false;
      prepare_not_before_ = environment_.scheduler.now() + kPrepareAgainAfter;
      return;
    }
    file.durable_bytes = status ? std::max(file.durable_bytes, filled_bytes) : file.durable_bytes;
    next_file_ready(std::move(file), std::move(status));
  });
}

void Journal::next_file_ready(OpenFile file, Status status) {
  preparing_ = false;
  if (!status) {
    // The current file grows meanwhile; if the disk is full, that is what will say so. The others
    // have their turn before this one is tried again.
    free_.insert(free_.begin(), {file.number, file.durable_bytes});
    prepare_not_before_ = environment_.scheduler.now() + kPrepareAgainAfter;
    return;
  }
  next_ = std::make_unique<OpenFile>(std::move(file));
}

Status Journal::sync() {
  if (synced_ == durable_) {
    return {};
  }
  for (const UnsyncedFile& unsynced : unsynced_) {
    RETURN_IF_ERROR(unsynced.file->sync());
  }
  unsynced_.clear();
  RETURN_IF_ERROR(current_.file->sync());
  synced_ = durable_;
  return {};
}

void Journal::release_before(JournalPosition position) {
  released_ = std::max(released_, position);
  if (position > synced_) {
    synced_ = position;
    std::erase_if(unsynced_, [&](const UnsyncedFile& file) { return file.end <= position; });
  }
  // A file that ends just there may hold seals behind the checkpoint's frame, links of the chain.
  while (!used_.empty() && used_.front().end < position) {
    free_.push_back({used_.front().number, used_.front().size_bytes});
    used_.pop_front();
  }
  schedule_flush();  // for those who wait for room
}

}  // namespace onceflow::log
