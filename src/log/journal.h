// Journal: the one write-ahead stream (design D2). Two calls: append, and wait until durable.
//
// Owned by the Log, on its thread. Entries are gathered in memory; one write is on its way to the
// disk at a time, and everything appended meanwhile goes with the next (group commit). The stream
// is laid out in frames of whole disk blocks over pre-zeroed, recycled files
// (docs/formats/journal.md). A block that holds durable data is never written again until a
// checkpoint has released it.
//
// A failed write or sync is never retried: the fatal handler is called once and from then on
// nothing becomes durable and no callback runs.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/callback.h"
#include "base/ids.h"
#include "base/result.h"
#include "io/environment.h"
#include "log/format.h"
#include "log/frame_buffers.h"

namespace onceflow::log {

/// log.flush: what an acknowledgement promises.
enum class FlushMode {
  kDurable,  ///< on the device; survives power loss
  kOs,       ///< in the page cache, as Kafka's default; survives the death of the process alone
};

struct JournalOptions {
  std::string directory;
  FlushMode flush = FlushMode::kDurable;
  std::uint64_t first_file_bytes = 4ull << 20;  ///< small, so that a first start takes milliseconds
  std::uint64_t file_bytes = 64ull << 20;
  std::size_t buffered_bytes_max = 64u << 20;     ///< beyond this is_full() says so
  std::uint64_t retained_bytes_max = 1ull << 30;  ///< of the journal without a checkpoint
  std::uint64_t free_bytes_min = 0;               ///< a new file must leave as much on the disk
  std::string data_directory;  ///< where the note of how far it is durable lies; empty: none
  std::uint64_t boot_id = 0;   ///< of the machine's life, for the note; 0: not known
  std::size_t frame_bytes_max = 4u << 20;  ///< one write; a larger entry gets a frame of its own
  Duration seal_after = milliseconds(20);  ///< idle time before the last frame is sealed
  /// Called once, when a write or sync has failed. The process must stop.
  std::function<void(const Error&)> on_fatal;
};

/// Where the stream goes on, as a checkpoint or recovery knows it.
struct JournalTail {
  JournalPosition position;         ///< of the next entry
  std::uint64_t file_sequence = 0;  ///< of the file the last frame is in; 0: none written yet
  std::uint64_t file_offset = 0;    ///< just behind that frame
  std::uint32_t chain = 0;          ///< header checksum of that frame
};

/// One file of the journal, by its number in the folder. A file is used again and again; its
/// sequence says for the how-manieth time any file was begun, so sequences rise along the stream.
struct JournalSlot {
  std::uint32_t number = 0;
  std::uint64_t sequence = 0;    ///< 0: free
  JournalPosition end;           ///< behind its last frame; meaningless while it is written
  std::uint64_t size_bytes = 0;  ///< as much of it is durable, zeroes or not
};
/// A file of the journal, as a checkpoint knows it. It never gets smaller, and never goes.
struct JournalFile {
  std::uint32_t number = 0;
  std::uint64_t size_bytes = 0;
};

/// What recovery hands over; all empty for a new journal.
struct JournalStart {
  std::uint64_t journal_id = 0;
  JournalTail tail;
  std::vector<JournalSlot> slots;       ///< every file in the folder
  std::uint64_t file_sequence_max = 0;  ///< greatest ever seen: the next file gets a greater one
  JournalPosition released;             ///< of the checkpoint that the stream was replayed from
};

class Journal {
 public:
  Journal(const io::Environment& environment, JournalOptions options, JournalStart start);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  /// Opens or creates the file to go on in. Blocks for milliseconds; at start only.
  Status open();

  /// Appends one whole entry and returns the position just behind it: wait for that one. Never
  /// blocks.
  JournalPosition append(EntryType type, ByteView body) { return append(type, body, {}); }
  /// Where bytes were put: open for patching until the next call of any member, and there as long
  /// as the owner is held.
  struct Placed {
    MutableByteView bytes;
    std::shared_ptr<const void> owner;
  };
  /// The body in two parts. `rest_placed`, if given, says where the second part now lies.
  JournalPosition append(EntryType type, ByteView head, ByteView rest,
                         Placed* rest_placed = nullptr);

  /// All before this survives a crash of the machine (kOs: of the process).
  JournalPosition durable() const { return durable_; }
  JournalPosition end() const { return end_; }
  /// Calls back once `position` is durable, in the order of positions and never inside this call.
  void when_durable(JournalPosition position, Callback<void()> callback);

  /// More than buffered_bytes_max wait to be written, or more than retained_bytes_max wait for a
  /// checkpoint: take no more requests until when_not_full calls back. append() still works, so
  /// that a request once begun can be finished.
  bool is_full() const {
    return buffered_bytes_ > options_.buffered_bytes_max ||
           end_ - released_ > options_.retained_bytes_max;
  }
  void when_not_full(Callback<void()> callback);
  std::size_t buffered_bytes() const { return buffered_bytes_; }
  bool has_failed() const { return failed_; }
  /// Some other write that durability rests on has failed: stops as if it were one of the
  /// journal's.
  void fail(const Error& error);

  /// Called each time durable() has moved, before any when_durable callback of that flush.
  void on_durable(std::function<void(JournalPosition)> listener) {
    listener_ = std::move(listener);
  }

  /// Ends the frame being gathered, so that one begins exactly at end(), and calls back with the
  /// place once all before is durable. One at a time.
  void mark(Callback<void(JournalTail)> callback);
  /// kOs: waits until all before durable() is on the device. Before files are removed for good on
  /// its word: else a crash could lose the word and keep the deed.
  Status sync();
  /// All before `position` is in a durable checkpoint: files that hold nothing younger are free.
  void release_before(JournalPosition position);
  JournalPosition released() const { return released_; }

  /// All files that have a durable name and size, by number.
  std::vector<JournalFile> files() const;
  std::uint64_t flush_count() const { return flush_count_; }
  Duration last_flush() const { return last_flush_; }
  std::size_t file_count() const { return used_.size() + free_.size() + (next_ ? 1 : 0) + 1; }

 private:
  struct Frame;
  struct OpenFile {
    std::uint32_t number = 0;
    std::shared_ptr<io::File> file;   // shared with the callback of a write in flight
    std::uint64_t size_bytes = 0;     // zeroed or used before: writes inside change no metadata
    std::uint64_t durable_bytes = 0;  // of the size
  };
  struct Waiter {
    JournalPosition position;
    Callback<void()> callback;
  };
  struct Mark {
    JournalPosition position;
    Callback<void(JournalTail)> callback;
  };

  Frame& frame_for(std::size_t entry_bytes);
  void schedule_flush();
  void flush_and_tell();
  void flush();
  void write(std::unique_ptr<Frame> frame);
  Status open_note();
  JournalNote note() const;
  Status write_note();
  void frame_written(const FrameHeader& header, Status status);
  void run_waiters();
  void switch_file_if_full(std::size_t frame_bytes);
  void prepare_next_file();
  bool has_room_for(std::uint64_t bytes) const;
  void name_next_file(OpenFile file, std::uint64_t filled_bytes);
  void next_file_ready(OpenFile file, Status status);
  void arm_seal();
  void seal_if_idle();
  std::string path_of(std::uint32_t number) const;
  template <typename Function>
  auto guarded(Function function);

  io::Environment environment_;
  JournalOptions options_;
  std::uint64_t journal_id_;
  std::uint32_t start_nonce_;
  std::function<void(JournalPosition)> listener_;

  // The stream. released_ <= synced_ <= durable_ <= end_; told_ <= durable_.
  JournalTail tail_;  // behind the last frame written
  JournalPosition end_;
  JournalPosition durable_;
  JournalPosition released_;
  JournalPosition told_;    // durable_ as the listener knows it
  JournalPosition synced_;  // durable on the device, whatever the mode
  std::size_t buffered_bytes_ = 0;
  std::deque<std::unique_ptr<Frame>> frames_;  // to be written; the last may still grow
  FrameBuffers buffers_;
  bool flush_scheduled_ = false;
  bool writing_ = false;
  bool failed_ = false;
  bool sealed_ = true;
  bool seal_armed_ = false;
  MonotonicTime last_write_{};

  // The files.
  OpenFile current_;
  struct UnsyncedFile {
    std::shared_ptr<io::File> file;
    JournalPosition end;
  };
  std::vector<UnsyncedFile> unsynced_;  // kOs: written before the current one
  std::unique_ptr<OpenFile> next_;
  bool preparing_ = false;
  MonotonicTime prepare_not_before_{};
  std::deque<JournalSlot> used_;  // by sequence, without the current one
  std::vector<JournalFile> free_;
  std::unique_ptr<io::File> note_;
  std::uint32_t number_max_ = 0;
  std::uint64_t file_sequence_max_ = 0;

  std::deque<Waiter> waiters_;  // by position
  std::deque<Callback<void()>> not_full_;
  std::unique_ptr<Mark> mark_;
  std::uint64_t flush_count_ = 0;
  Duration last_flush_{};
  // Told apart from us by callbacks that may outlive us.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace onceflow::log
