// Journal: the one write-ahead stream (design D2). Two calls: append, and wait until durable.
//
// Owned by the Log, on its thread. Entries are gathered in memory; one write is on its way to the disk
// at a time, and everything appended meanwhile goes with the next (group commit). The stream is laid
// out in frames of whole disk blocks over pre-zeroed, recycled files (docs/formats/journal.md). A block
// that holds durable data is never written again until a checkpoint has released it.
//
// A failed write or sync is never retried: the fatal handler is called once and from then on nothing
// becomes durable and no callback runs.
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
  std::size_t buffered_bytes_max = 64u << 20;   ///< beyond this is_full() says so
  std::size_t frame_bytes_max = 4u << 20;       ///< one write; a larger entry gets a frame of its own
  Duration seal_after = milliseconds(20);       ///< idle time before the last frame is sealed
  /// Called once, when a write or sync has failed. The process must stop.
  std::function<void(const Error&)> on_fatal;
};

/// Where the stream goes on, as a checkpoint or recovery knows it.
struct JournalTail {
  JournalPosition position;            ///< of the next entry
  std::uint64_t file_sequence = 0;     ///< of the file the last frame is in; 0: none written yet
  std::uint64_t file_offset = 0;       ///< just behind that frame
  std::uint32_t chain = 0;             ///< header checksum of that frame
};

/// One file of the journal, by its number in the folder; its sequence says which lap of use it is in.
struct JournalSlot {
  std::uint32_t number = 0;
  std::uint64_t sequence = 0;          ///< 0: free
  JournalPosition first_position;      ///< of its first frame
};

class Journal {
 public:
  /// `tail` and `slots` as read_journal (recovery) found them, or empty for a new journal.
  Journal(io::Environment& environment, JournalOptions options, std::uint64_t journal_id,
          JournalTail tail, std::vector<JournalSlot> slots);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  /// Opens or creates the first file. Blocks for milliseconds; at start only.
  Status open();

  /// Begins an entry; what is written to `writer().buffer`... see EntryWriter in the .cc: appends whole
  /// entries only. Returns the position just behind the entry: wait for this one. Never blocks.
  JournalPosition append(EntryType type, ByteView body) { return append(type, body, {}); }
  /// The body in two parts: a head of a few fields and the bytes that follow. `body_place`, if given,
  /// is set to where the second part lies in the buffer: valid, and open for patching, until the next
  /// call of any member.
  JournalPosition append(EntryType type, ByteView head, ByteView rest,
                         MutableByteView* rest_place = nullptr);

  /// All before this survives a crash of the machine (kOs: of the process).
  JournalPosition durable() const { return durable_; }
  JournalPosition end() const { return end_; }
  /// Calls back once `position` is durable, in the order of positions and never inside this call.
  void when_durable(JournalPosition position, Callback<void()> callback);
  /// co_await wait_durable(position).
  Task<void> wait_durable(JournalPosition position);

  /// More than buffered_bytes_max wait to be written: take no more requests until when_not_full.
  /// append() still works, so that a request once begun can be finished.
  bool is_full() const { return buffered_bytes_ > options_.buffered_bytes_max; }
  void when_not_full(Callback<void()> callback);
  std::size_t buffered_bytes() const { return buffered_bytes_; }
  bool has_failed() const { return failed_; }

  /// Called each time durable() has moved, before any when_durable callback: the partitions' high
  /// watermarks move here.
  void on_durable(std::function<void(JournalPosition)> listener) { listener_ = std::move(listener); }

  /// Ends the frame being gathered, so that a frame begins exactly at end().
  void cut_frame();
  /// Where the frame that ends exactly at `position` ended; asked by the checkpoint after cut_frame,
  /// once `position` is durable and before anything else was written.
  JournalTail tail() const { return tail_; }
  /// All before `position` is in a durable checkpoint: files that hold nothing younger are free.
  void release_before(JournalPosition position);

 private:
  struct Frame;
  struct Waiter {
    JournalPosition position;
    Callback<void()> callback;
  };
  struct OpenFile;

  void schedule_flush();
  void flush();
  void write_frame(Frame frame);
  void frame_written(Status status);
  void fail(const Error& error);
  Status switch_file_if_needed(std::size_t frame_bytes);
  void prepare_next_file();
  void arm_seal();

  io::Environment& environment_;
  JournalOptions options_;
  std::uint64_t journal_id_;
  std::function<void(JournalPosition)> listener_;
  JournalTail tail_;
  JournalPosition end_;
  JournalPosition durable_;
  std::size_t buffered_bytes_ = 0;
  bool failed_ = false;
  std::deque<Waiter> waiters_;
};

}  // namespace onceflow::log
